/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * The tunnel between nodes: VXLAN (RFC 7348) in collect-metadata mode, where a program says for
 * each packet to which node it goes. The network identifier carries the source's identity:
 *
 *   +-------+-----+-------+------------------------------------+----------+
 *   | outer | UDP | VXLAN | inner Ethernet (its addresses mean | inner IP |
 *   |  IP   | 8472| VNI = | nothing; the receiver rewrites     |          |
 *   |       |     |  id   | them)                              |          |
 *   +-------+-----+-------+------------------------------------+----------+
 */
#pragma once
#include "../include/layout.h"
#include "address.h"
#include "counters.h"
#include "drops.h"
#include "endpoints.h"
#include "faults.h"
#include "identity.h"
#include "ipcache.h"
#include "packet.h"
#include "policy_mode.h"
#include "probes.h"
#include "refusal.h"
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Of the outer header: what Linux gives its own packets. */
#define TUNNEL_TTL 64

static __always_inline int drop_packet(enum drop_reason reason)
{
	count_drop(reason);
	return TC_ACT_SHOT;
}

/*
 * On a refusal that goes back from to_overlay to the node's own stack: it enters the node by the
 * overlay device and has come through no tunnel.
 */
#define REFUSAL_MARK 0x7265666e

/* Sets the node to which the tunnel device will send the packet; 0 or a negative errno. */
static __noinline long set_tunnel(struct __sk_buff *skb, const __u8 *tunnel_endpoint,
				  __u32 identity)
{
	struct bpf_tunnel_key key = {.tunnel_id = identity, .tunnel_ttl = TUNNEL_TTL};

	if (address_is_ipv4(tunnel_endpoint)) {
		key.remote_ipv4 = bpf_ntohl(ipv4_from_address(tunnel_endpoint));
		/* RFC 7348: the outer checksum should be zero over IPv4. */
		return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX);
	}
	__builtin_memcpy(key.remote_ipv6, tunnel_endpoint, ADDRESS_BYTES);
	return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6);
}

/* What a packet's tunnel metadata says: the source's identity, and the node at the other end. */
struct tunnel {
	__u32 identity;
	__u8 endpoint[ADDRESS_BYTES];
};

/* False if the packet has no tunnel metadata. */
static __always_inline bool get_tunnel(struct __sk_buff *skb, struct tunnel *tunnel)
{
	struct bpf_tunnel_key key = {};
	long error = bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0);

	if (error == -EPROTO) { /* The metadata is of the other family. */
		error = bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6);
		__builtin_memcpy(tunnel->endpoint, key.remote_ipv6, ADDRESS_BYTES);
	} else {
		address_from_ipv4(tunnel->endpoint, bpf_htonl(key.remote_ipv4));
	}
	tunnel->identity = key.tunnel_id;
	return error == 0;
}

static __always_inline bool has_tunnel(const struct ipcache_entry *entry)
{
	return entry && !address_is_zero(entry->tunnel_endpoint);
}

/* A node is "host" to itself and "remote-node" to the others. */
static __always_inline __u32 identity_on_the_wire(__u32 identity)
{
	return identity == IDENTITY_HOST ? IDENTITY_REMOTE_NODE : identity;
}

/* To the node's own stack, as if it had come from the other node. */
static __always_inline int refuse_to_stack(struct __sk_buff *skb, const struct packet *packet)
{
	count_drop(DROP_FAULT_INJECTED);
	if (!turn_into_refusal(skb, packet))
		return TC_ACT_SHOT;
	skb->mark = REFUSAL_MARK;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/* Back to the node that the packet came from, as if the destination had answered. */
static __always_inline int refuse_to_node(struct __sk_buff *skb, const struct packet *packet,
					  const __u8 *node)
{
	const struct ipcache_entry *refuser = find_ipcache_entry(packet->destination);
	__u32 identity = refuser ? identity_on_the_wire(refuser->identity) : IDENTITY_WORLD;
	/* The sender's VXLAN device takes its own address in the source for a loop. */
	const __u8 nobody[ETH_ALEN] = {0x02};

	count_drop(DROP_FAULT_INJECTED);
	if (!turn_into_refusal(skb, packet) ||
	    bpf_skb_store_bytes(skb, ETH_ALEN, nobody, sizeof(nobody), 0) ||
	    set_tunnel(skb, node, identity))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}

/* A packet that the stack has routed into the overlay device, mostly from the node itself. */
static __always_inline int handle_to_overlay(struct __sk_buff *skb)
{
	const struct ipcache_entry *source, *destination;
	struct packet packet = {};
	struct tunnel tunnel;
	__u32 identity;

	if (get_tunnel(skb, &tunnel))
		return TC_ACT_OK; /* from_pod has set it. */
	if (!parse_packet(skb, &packet))
		return drop_packet(DROP_MALFORMED);
	if (!packet_is_ip(&packet))
		return drop_packet(DROP_NOT_IP);
	source = find_ipcache_entry(packet.source);
	identity = source ? identity_on_the_wire(source->identity) : IDENTITY_WORLD;
	destination = find_ipcache_entry(packet.destination);
	if (!has_tunnel(destination))
		return drop_packet(DROP_NO_TUNNEL_ENDPOINT);
	switch (meet_fault(skb, &packet, destination->cluster_id, FAULT_OUTBOUND)) {
	case FAULT_SPARES:
		break;
	case FAULT_DROPS:
		return drop_packet(DROP_FAULT_INJECTED);
	case FAULT_REFUSES:
		return refuse_to_stack(skb, &packet);
	}
	if (set_tunnel(skb, destination->tunnel_endpoint, identity))
		return drop_packet(DROP_TUNNEL_KEY);
	count_event(COUNTER_HOST_TO_OVERLAY);
	return TC_ACT_OK;
}

/*
 * Whether a pod may take the packet for what it claims: the sender must be a node of the cluster
 * that the source belongs to, and the number one that it may send under. A source that nobody here
 * knows is believed to be one of the sender's.
 */
static __always_inline enum drop_reason check_sender(const struct tunnel *tunnel,
						     const struct ipcache_entry *source)
{
	const struct ipcache_entry *node = find_ipcache_entry(tunnel->endpoint);

	if (!node || node->identity != IDENTITY_REMOTE_NODE)
		return DROP_TUNNEL_SENDER;
	if (source && source->cluster_id && source->cluster_id != node->cluster_id)
		return DROP_TUNNEL_SENDER;
	return may_send_under(tunnel->identity, node->cluster_id) ? DROP_NONE
								  : DROP_TUNNEL_IDENTITY;
}

/* Whether the packet was a reply that only this program waits for. */
static __always_inline bool take_probe(struct __sk_buff *skb, const struct packet *packet,
				       const struct ipcache_entry *source, __u32 identity)
{
	struct probe_message message;

	switch (read_probe(skb, packet, &message)) {
	case PROBE_NONE:
		return false;
	case PROBE_REQUEST:
		/* Only nodes send under this identity: a pod cannot speak for its cluster. */
		if (source && identity == IDENTITY_REMOTE_NODE)
			note_probe_request(source->cluster_id);
		return false;
	case PROBE_REPLY:
		return note_probe_reply(packet, &message.payload);
	}
	return false;
}

/*
 * A packet from another node. Those that are for no pod of this node are the stack's, which also
 * answers probes.
 */
static __always_inline int handle_from_overlay(struct __sk_buff *skb)
{
	const struct ipcache_entry *source;
	const struct endpoint *endpoint;
	struct packet packet = {};
	enum drop_reason reason;
	struct tunnel tunnel;

	if (!get_tunnel(skb, &tunnel)) {
		if (skb->mark != REFUSAL_MARK)
			return drop_packet(DROP_TUNNEL_KEY);
		skb->mark = 0;
		return TC_ACT_OK;
	}
	if (!parse_packet(skb, &packet))
		return drop_packet(DROP_MALFORMED);
	if (!packet_is_ip(&packet))
		return drop_packet(DROP_NOT_IP);
	source = find_ipcache_entry(packet.source);
	switch (meet_fault(skb, &packet, source ? source->cluster_id : 0, FAULT_INBOUND)) {
	case FAULT_SPARES:
		break;
	case FAULT_DROPS:
		return drop_packet(DROP_FAULT_INJECTED);
	case FAULT_REFUSES:
		return refuse_to_node(skb, &packet, tunnel.endpoint);
	}
	if (take_probe(skb, &packet, source, tunnel.identity)) {
		count_event(COUNTER_PROBE_ANSWERED);
		return TC_ACT_STOLEN;
	}
	endpoint = find_endpoint(packet.destination);
	if (endpoint) {
		reason = policy_mode() == POLICY_OFF ? DROP_NONE : check_sender(&tunnel, source);
		if (reason != DROP_NONE)
			return drop_packet(reason);
		count_event(COUNTER_OVERLAY_TO_POD);
		return deliver_to_endpoint(skb, &packet, endpoint, tunnel.identity);
	}
	/* The inner Ethernet address is none of ours; the stack would think so too. */
	bpf_skb_change_type(skb, PACKET_HOST);
	count_event(COUNTER_OVERLAY_TO_STACK);
	return TC_ACT_OK;
}
