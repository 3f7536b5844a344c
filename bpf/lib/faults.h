/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Faults that drills inject into packets between nodes: a share of the flows is dropped, refused,
 * thinned or slowed, until the kernel's clock says that it is over. Traffic between pods of one
 * node has none.
 *
 * Probes (probes.h) are a flow like any other: a black hole swallows them, so that a drill
 * exercises detection; what refuses TCP and UDP does not answer them either.
 */
#pragma once
#include "../include/layout.h"
#include "clusters.h"
#include "transport.h"
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CLUSTER_IDS);
	__type(key, __u32); /* Cluster id of the peer; 0: every other node. */
	__type(value, struct fault);
} faults SEC(".maps");

enum fault_outcome {
	FAULT_SPARES,
	FAULT_DROPS,
	FAULT_REFUSES,
};

static __always_inline struct fault *find_fault_row(__u32 key, enum fault_direction direction)
{
	struct fault *fault = bpf_map_lookup_elem(&faults, &key);

	if (!fault || !fault->expires_ns || !(fault->directions & direction))
		return NULL;
	return bpf_ktime_get_ns() < fault->expires_ns ? fault : NULL;
}

static __always_inline struct fault *find_fault(__u16 peer, enum fault_direction direction)
{
	struct fault *fault = peer ? find_fault_row(peer, direction) : NULL;

	return fault ? fault : find_fault_row(0, direction);
}

static __always_inline __u32 hash_end(const __u8 *address, __be16 port, __u32 seed)
{
	__u64 words[2];

	__builtin_memcpy(words, address, sizeof(words));
	return mix_bits(words[0] ^ mix_bits(words[1]) ^ ((__u64)seed << 16 | port));
}

/*
 * Whether the packet's flow is of the affected share. Both directions of a flow have one answer:
 * the ends' hashes are added, and a sum knows no order. A fragment is told by addresses and
 * protocol alone.
 */
static __always_inline bool flow_is_affected(struct __sk_buff *skb, const struct packet *packet,
					     const struct fault *fault)
{
	struct transport transport = {};
	__be16 ports[2] = {};
	__u32 ends;

	if (fault->flow_percent >= 100)
		return true;
	read_transport(packet, &transport);
	if (transport.plain &&
	    (transport.protocol == IPPROTO_TCP || transport.protocol == IPPROTO_UDP) &&
	    bpf_skb_load_bytes(skb, transport.offset, ports, sizeof(ports)))
		return false;
	ends = hash_end(packet->source, ports[0], fault->seed) +
	       hash_end(packet->destination, ports[1], fault->seed);
	return scale(mix_bits((__u64)ends << 8 | transport.protocol), 100) < fault->flow_percent;
}

/* What becomes of a packet to or from a node of the cluster `peer` (0: unknown). */
static __noinline enum fault_outcome meet_fault(struct __sk_buff *skb, const struct packet *packet,
						__u16 peer, enum fault_direction direction)
{
	struct fault *fault = find_fault(peer, direction);
	enum fault_outcome outcome = FAULT_SPARES;

	if (!fault || !flow_is_affected(skb, packet, fault))
		return FAULT_SPARES;
	if (fault->refuse)
		outcome = FAULT_REFUSES;
	else if (fault->drop_percent && scale(bpf_get_prandom_u32(), 100) < fault->drop_percent)
		outcome = FAULT_DROPS;
	else if (fault->slow_priority)
		skb->priority = fault->slow_priority;
	else
		return FAULT_SPARES;
	__sync_fetch_and_add(&fault->packets, 1);
	return outcome;
}
