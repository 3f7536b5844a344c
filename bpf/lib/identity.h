/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The security identities that the programs name themselves; the numbers up to 10 are Cilium's. */
#pragma once
#include "config.h"
#include <linux/types.h>
#include <stdbool.h>

#define IDENTITY_HOST 1
#define IDENTITY_WORLD 2
#define IDENTITY_UNMANAGED 3 /* A pod of the mesh of which only the node is known. */
#define IDENTITY_INIT 5	     /* A pod of this node that has no identity yet. */
#define IDENTITY_REMOTE_NODE 6
#define IDENTITY_WORLD_IPV4 9
#define IDENTITY_WORLD_IPV6 10

/* Identities that stand for many, in policies only: no packet has one. */
#define AGGREGATE_ANYBODY 0
#define AGGREGATE_CLUSTER 11	 /* Pods of the own cluster. */
#define AGGREGATE_CLUSTERMESH 12 /* Pods of other clusters. */
#define AGGREGATE_WORLD 13	 /* What is outside, prefixes that policies name included. */

/* Below are reserved and well-known numbers, from here on those that clusters give out. */
#define IDENTITY_FIRST_ORDINARY 256
/* From here on the node's own numbers for prefixes outside the mesh: they do not travel. */
#define IDENTITY_FIRST_PREFIX (1 << 24)

/* The aggregate that the identity is part of; AGGREGATE_ANYBODY if there is none. */
static __always_inline __u32 aggregate_of(__u32 identity)
{
	if (identity >= IDENTITY_FIRST_PREFIX || identity == IDENTITY_WORLD ||
	    identity == IDENTITY_WORLD_IPV4 || identity == IDENTITY_WORLD_IPV6)
		return AGGREGATE_WORLD;
	if (identity < IDENTITY_FIRST_ORDINARY)
		return AGGREGATE_ANYBODY;
	if (identity >= config.own_identity_first && identity <= config.own_identity_last)
		return AGGREGATE_CLUSTER;
	return AGGREGATE_CLUSTERMESH;
}

/*
 * Whether a node of the cluster may send under this number: one of the cluster's own, or one that
 * means the same everywhere. "Host" means this node, and aggregates nobody.
 */
static __always_inline bool may_send_under(__u32 identity, __u16 cluster_id)
{
	if (identity >= IDENTITY_FIRST_ORDINARY)
		return !config.cluster_id_shift ||
		       identity >> config.cluster_id_shift == cluster_id;
	return identity != AGGREGATE_ANYBODY && identity != IDENTITY_HOST &&
	       (identity < AGGREGATE_CLUSTER || identity > AGGREGATE_WORLD);
}

/*
 * skb->mark of a packet that from_overlay delivers: who sent it, for to_pod.
 *
 *   +------+----------+
 *   | 0x54 | identity |   8 + 24 bits
 *   +------+----------+
 */
#define MARK_IDENTITY 0x54000000
#define MARK_IDENTITY_MASK 0xff000000
