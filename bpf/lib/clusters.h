/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Whether a cluster may be given a new connection. Everything that moves traffic between
 * clusters (failure, drain, drill) is a write to this one small map.
 */
#pragma once
#include "../include/layout.h"
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* One more than the highest cluster id of the widest mesh (maxConnectedClusters = 511). */
#define CLUSTER_IDS 512

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CLUSTER_IDS);
	__type(key, __u32); /* Cluster id. */
	__type(value, struct cluster_state);
} cluster_state SEC(".maps");

enum cluster_answer {
	CLUSTER_USABLE,
	CLUSTER_DRAINING, /* This connection is of the share that should go elsewhere. */
	CLUSTER_UNUSABLE,
};

/* Mixes the bits so that neighbouring clients and clusters are unrelated (murmur3's finalizer). */
static __always_inline __u32 mix_bits(__u64 bits)
{
	bits ^= bits >> 33;
	bits *= 0xff51afd7ed558ccdULL;
	bits ^= bits >> 33;
	bits *= 0xc4ceb9fe1a85ec53ULL;
	return bits >> 32;
}

/* A number from 0 to range - 1; the multiplication spares the division. */
static __always_inline __u32 scale(__u32 random, __u32 range)
{
	return ((__u64)random * range) >> 32;
}

/*
 * `client` is 0 where every connection is decided anew. Where clients have sessions it names the
 * client, so that a cluster drained by 30 % loses always the same 30 % of the clients.
 */
static __always_inline enum cluster_answer ask_cluster(__u16 cluster_id, __u64 client)
{
	__u32 key = cluster_id;
	const struct cluster_state *state = bpf_map_lookup_elem(&cluster_state, &key);
	__u32 dice;

	if (!state || state->health == CLUSTER_DOWN || state->drained_percent >= 100)
		return CLUSTER_UNUSABLE;
	if (state->drill == DRILL_DOWN && bpf_ktime_get_ns() < state->drill_expires_ns)
		return CLUSTER_UNUSABLE;
	if (state->drained_percent == 0)
		return CLUSTER_USABLE;
	dice = client ? mix_bits(client << 16 | cluster_id) : bpf_get_prandom_u32();
	return scale(dice, 100) < state->drained_percent ? CLUSTER_DRAINING : CLUSTER_USABLE;
}
