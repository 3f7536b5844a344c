/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What a pod sends and receives. What it sends goes into the overlay when its destination is on
 * another node, else to the stack. Policy comes before everything else that may befall a packet.
 */
#pragma once
#include "../include/layout.h"
#include "config.h"
#include "overlay.h"
#include "passage.h"
#include "policy_mode.h"
#include "records.h"
#include "segment.h"
#include "verdict.h"
#include "who.h"
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* RFC 4861: nobody believes neighbour discovery that was forwarded. */
#define DISCOVERY_HOP_LIMIT 255

static __always_inline int pass_to_stack(void)
{
	count_event(COUNTER_POD_TO_STACK);
	return TC_ACT_OK;
}

static __always_inline int refuse_to_pod(struct __sk_buff *skb, const struct packet *packet)
{
	count_drop(DROP_FAULT_INJECTED);
	if (!turn_into_refusal(skb, packet))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}

/*
 * Whether it is of a kind that policies speak of, or ARP. Anything else would find its way past
 * them where another plugin's bridge joins pods.
 */
static __always_inline bool is_known_kind(struct __sk_buff *skb, const struct packet *packet)
{
	return !skb->vlan_present &&
	       (packet_is_ip(packet) || packet->ethernet->h_proto == bpf_htons(ETH_P_ARP));
}

static __always_inline bool is_link_local(const __u8 *address)
{
	return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

static __always_inline bool is_own_address(struct __sk_buff *skb, const __u8 *address)
{
	const struct endpoint *endpoint = find_endpoint(address);

	return endpoint && endpoint->ifindex == skb->ifindex;
}

/*
 * Neighbour discovery and multicast listeners, on which no policy has a say. Before it has an
 * address, a pod looks whether somebody else has it, in the name of nobody.
 */
static __always_inline bool is_link_business(const struct packet *packet,
					     const struct segment *segment)
{
	if (!is_discovery(segment))
		return false;
	return segment->icmp_type < ICMPV6_DISCOVERY_FIRST ||
	       segment->icmp_type > ICMPV6_DISCOVERY_LAST ||
	       packet->hop_limit == DISCOVERY_HOP_LIMIT;
}

/*
 * A pod has no business with a node's end of the overlay: there it could say of itself that it is
 * anybody. It may not speak to a node at all by what cannot be read, which may hide the port.
 */
static __always_inline enum drop_reason check_node_port(const struct ipcache_entry *destination,
							const struct segment *segment,
							enum drop_reason unreadable)
{
	if (!destination || (destination->identity != IDENTITY_HOST &&
			     destination->identity != IDENTITY_REMOTE_NODE))
		return DROP_NONE;
	if (unreadable != DROP_NONE)
		return unreadable;
	return segment->protocol == IPPROTO_UDP && segment->place != FRAGMENT_LATER &&
			       segment->destination_port == bpf_htons(config.overlay_port)
		       ? DROP_OVERLAY_FORGED
		       : DROP_NONE;
}

/* What the sender is called at the other end of the tunnel. */
static __always_inline __u32 sender_identity(struct __sk_buff *skb, const struct packet *packet)
{
	return identity_on_the_wire(endpoint_identity(skb->ifindex, packet->source));
}

/* Only its own addresses, and link-local ones on the link, where nobody can be taken in by them. */
static __always_inline bool may_send_as(struct __sk_buff *skb, const struct packet *packet,
					bool link_business)
{
	if (is_own_address(skb, packet->source))
		return true;
	if (link_business && address_is_zero(packet->source))
		return true;
	return is_link_local(packet->source) &&
	       (link_business || stays_on_link(packet->destination));
}

/* Into the overlay: `destination` has a tunnel. */
static __always_inline int send_to_node(struct __sk_buff *skb, const struct packet *packet,
					const struct ipcache_entry *destination)
{
	if (packet->hop_limit <= 1) {
		count_drop(DROP_TTL_EXCEEDED);
		return TC_ACT_OK; /* The stack will not forward it either, and tells the sender. */
	}
	switch (meet_fault(skb, packet, destination->cluster_id, FAULT_OUTBOUND)) {
	case FAULT_SPARES:
		break;
	case FAULT_DROPS:
		return drop_packet(DROP_FAULT_INJECTED);
	case FAULT_REFUSES:
		return refuse_to_pod(skb, packet);
	}
	decrement_hop_limit(packet);
	if (set_tunnel(skb, destination->tunnel_endpoint, sender_identity(skb, packet)))
		return drop_packet(DROP_TUNNEL_KEY);
	count_event(COUNTER_POD_TO_OVERLAY);
	return bpf_redirect(config.overlay_ifindex, 0);
}

static __always_inline int handle_from_pod(struct __sk_buff *skb)
{
	const struct ipcache_entry *destination;
	enum drop_reason unreadable, reason;
	struct passage passage = {.sent = true};
	struct packet packet = {};
	struct segment segment = {};
	__u8 mode = policy_mode();
	bool link_business;

	if (!parse_packet(skb, &packet))
		return drop_packet(DROP_MALFORMED);
	if (mode != POLICY_OFF && !is_known_kind(skb, &packet))
		return drop_packet(DROP_NOT_IP);
	if (!packet_is_ip(&packet) || (mode == POLICY_OFF && stays_on_link(packet.destination)))
		return pass_to_stack(); /* ARP; without a policy whatever stays on the link. */
	unreadable = read_segment(skb, &packet, &segment);
	link_business = unreadable == DROP_NONE && is_link_business(&packet, &segment);
	destination = find_ipcache_entry(packet.destination);
	if (!may_send_as(skb, &packet, link_business))
		reason = DROP_SOURCE_SPOOFED;
	else if (link_business)
		return pass_to_stack();
	else
		reason = check_node_port(destination, &segment, unreadable);
	if (mode != POLICY_OFF) {
		passage.remote_identity = identity_of(destination, packet.destination);
		reason = judge_packet(skb, &packet, &segment, &passage, mode,
				      reason != DROP_NONE ? reason : unreadable);
	}
	if (reason != DROP_NONE)
		return drop_packet(reason);
	if (!has_tunnel(destination) || stays_on_link(packet.destination))
		return pass_to_stack();
	return send_to_node(skb, &packet, destination);
}

/* What is about to enter the pod, whoever sends it. */
static __always_inline int handle_to_pod(struct __sk_buff *skb)
{
	enum drop_reason unreadable, reason;
	struct passage passage = {};
	struct packet packet = {};
	struct segment segment = {};
	__u8 mode = policy_mode();
	__u32 mark = take_mark(skb);

	if (mode == POLICY_OFF)
		return TC_ACT_OK;
	if (!parse_packet(skb, &packet))
		return drop_packet(DROP_MALFORMED);
	if (!is_known_kind(skb, &packet))
		return drop_packet(DROP_NOT_IP);
	if (!packet_is_ip(&packet))
		return TC_ACT_OK; /* ARP. */
	unreadable = read_segment(skb, &packet, &segment);
	if (unreadable == DROP_NONE && is_link_business(&packet, &segment))
		return TC_ACT_OK;
	passage.remote_identity = identity_of_sender(mark, packet.source);
	reason = judge_packet(skb, &packet, &segment, &passage, mode, unreadable);
	return reason == DROP_NONE ? TC_ACT_OK : drop_packet(reason);
}
