/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What a pod sends: into the overlay when its destination is on another node, else to the stack. */
#pragma once
#include "../include/layout.h"
#include "fragments.h"
#include "overlay.h"
#include "policies.h"
#include "records.h"
#include "tracking.h"
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

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

static __always_inline int handle_from_pod(struct __sk_buff *skb)
{
	const struct ipcache_entry *source, *destination;
	const struct endpoint *endpoint;
	struct packet packet = {};
	__u32 identity;

	if (!parse_packet(skb, &packet))
		return drop_packet(DROP_MALFORMED);
	if (!packet_is_ip(&packet) || stays_on_link(packet.destination))
		return pass_to_stack(); /* ARP, neighbour discovery. */
	endpoint = find_endpoint(packet.source);
	if (endpoint && endpoint->ifindex != skb->ifindex)
		return drop_packet(DROP_SOURCE_SPOOFED);
	source = find_ipcache_entry(packet.source);
	if (has_tunnel(source))
		return drop_packet(DROP_SOURCE_SPOOFED); /* A pod of another node. */
	destination = find_ipcache_entry(packet.destination);
	if (!has_tunnel(destination))
		return pass_to_stack();
	if (packet.hop_limit <= 1) {
		count_drop(DROP_TTL_EXCEEDED);
		return TC_ACT_OK; /* The stack will not forward it either, and tells the sender. */
	}
	switch (meet_fault(skb, &packet, destination->cluster_id, FAULT_OUTBOUND)) {
	case FAULT_SPARES:
		break;
	case FAULT_DROPS:
		return drop_packet(DROP_FAULT_INJECTED);
	case FAULT_REFUSES:
		return refuse_to_pod(skb, &packet);
	}
	decrement_hop_limit(&packet);
	identity = source ? identity_on_the_wire(source->identity) : IDENTITY_INIT;
	if (set_tunnel(skb, destination->tunnel_endpoint, identity))
		return drop_packet(DROP_TUNNEL_KEY);
	count_event(COUNTER_POD_TO_OVERLAY);
	return bpf_redirect(config.overlay_ifindex, 0);
}
