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
	CLUSTER_YIELDING, /* This connection is of the share that should go elsewhere. */
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
 * The share of new connections that the cluster yields where another can serve; -1: it gets none.
 * `ipv4` is the family of the frontend.
 */
static __always_inline int yielded_percent(const struct cluster_state *state, bool ipv4)
{
	__u8 health = ipv4 ? state->health_ipv4 : state->health_ipv6;
	__u8 yielded = ipv4 ? state->held_back_percent_ipv4 : state->held_back_percent_ipv6;

	if (health == CLUSTER_DOWN)
		return -1;
	if (state->drill == DRILL_DOWN && bpf_ktime_get_ns() < state->drill_expires_ns)
		return -1;
	if (health == CLUSTER_LAST_RESORT)
		yielded = 100;
	if (state->drained_percent == 0)
		return yielded;
	if (state->drain_expires_ns && bpf_ktime_get_ns() >= state->drain_expires_ns)
		return yielded;
	return yielded > state->drained_percent ? yielded : state->drained_percent;
}

/*
 * `client` is 0 where every connection is decided anew. Where clients have sessions it names the
 * client, so that a cluster drained by 30 % loses always the same 30 % of the clients.
 */
static __always_inline enum cluster_answer ask_cluster(__u16 cluster_id, bool ipv4, __u64 client)
{
	__u32 key = cluster_id;
	const struct cluster_state *state = bpf_map_lookup_elem(&cluster_state, &key);
	__u32 dice;
	int yielded;

	if (!state)
		return CLUSTER_UNUSABLE;
	yielded = yielded_percent(state, ipv4);
	if (yielded < 0)
		return CLUSTER_UNUSABLE;
	if (yielded == 0)
		return CLUSTER_USABLE;
	dice = client ? mix_bits(client << 16 | cluster_id) : bpf_get_prandom_u32();
	return scale(dice, 100) < (__u32)yielded ? CLUSTER_YIELDING : CLUSTER_USABLE;
}
