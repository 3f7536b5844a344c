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
#include "probes.h"
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

/* Sets the node to which the tunnel device will send the packet; 0 or a negative errno. */
static __always_inline long set_tunnel(struct __sk_buff *skb, const __u8 *tunnel_endpoint,
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

/* Fills `identity` from the packet's tunnel metadata; false if it has none. */
static __always_inline bool get_tunnel_identity(struct __sk_buff *skb, __u32 *identity)
{
	struct bpf_tunnel_key key = {};
	long error = bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0);

	/* The metadata is of the other family. */
	if (error == -EPROTO)
		error = bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6);
	if (error)
		return false;
	*identity = key.tunnel_id;
	return true;
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

/* A packet that the stack has routed into the overlay device, mostly from the node itself. */
static __always_inline int handle_to_overlay(struct __sk_buff *skb)
{
	const struct ipcache_entry *source, *destination;
	struct packet packet = {};
	__u32 identity;

	if (get_tunnel_identity(skb, &identity))
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
	if (set_tunnel(skb, destination->tunnel_endpoint, identity))
		return drop_packet(DROP_TUNNEL_KEY);
	count_event(COUNTER_HOST_TO_OVERLAY);
	return TC_ACT_OK;
}

/* A packet from another node. Those that are for no pod of this node are the stack's. */
static __always_inline int handle_from_overlay(struct __sk_buff *skb)
{
	const struct endpoint *endpoint;
	struct packet packet = {};
	__u32 identity;

	if (!get_tunnel_identity(skb, &identity))
		return drop_packet(DROP_TUNNEL_KEY);
	if (!parse_packet(skb, &packet))
		return drop_packet(DROP_MALFORMED);
	if (!packet_is_ip(&packet))
		return drop_packet(DROP_NOT_IP);
	endpoint = find_endpoint(packet.destination);
	if (endpoint) {
		count_event(COUNTER_OVERLAY_TO_POD);
		return deliver_to_endpoint(skb, &packet, endpoint, identity);
	}
	/* The inner Ethernet address is none of ours; the stack would think so too. */
	bpf_skb_change_type(skb, PACKET_HOST);
	count_event(COUNTER_OVERLAY_TO_STACK);
	return TC_ACT_OK;
}
