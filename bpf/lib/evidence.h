/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What the node's own TCP connections say of clusters and backends. */
#pragma once
#include "../include/layout.h"
#include "clusters.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Backends with which something went wrong; the least recently used one yields. */
#define BACKEND_EVIDENCE_MAX 16384

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CLUSTER_IDS);
	__type(key, __u32); /* Cluster id. */
	__type(value, struct cluster_evidence);
} cluster_evidence SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BACKEND_EVIDENCE_MAX);
	__type(key, struct backend_key);
	__type(value, struct backend_evidence);
} backend_evidence SEC(".maps");

static __always_inline struct cluster_evidence *find_cluster_evidence(__u16 cluster_id)
{
	__u32 key = cluster_id;

	return bpf_map_lookup_elem(&cluster_evidence, &key);
}

static __always_inline struct backend_evidence *find_backend_evidence(__u32 backend_id)
{
	struct backend_key key = {.backend_id = backend_id};

	return bpf_map_lookup_elem(&backend_evidence, &key);
}

/* The backend's row, made if it has none; NULL when there is no memory. */
static __always_inline struct backend_evidence *ensure_backend_evidence(__u32 backend_id)
{
	struct backend_evidence *evidence = find_backend_evidence(backend_id);
	struct backend_key key = {.backend_id = backend_id};
	struct backend_evidence none = {};

	if (evidence)
		return evidence;
	/* Another processor may have been faster; its row stays. */
	bpf_map_update_elem(&backend_evidence, &key, &none, BPF_NOEXIST);
	return find_backend_evidence(backend_id);
}

static __always_inline void note_backend_failure(__u32 backend_id)
{
	struct backend_evidence *evidence = ensure_backend_evidence(backend_id);

	if (!evidence)
		return;
	evidence->last_failure_ns = bpf_ktime_get_ns();
	if (evidence->failures == 0)
		evidence->first_failure_ns = evidence->last_failure_ns;
	__sync_fetch_and_add(&evidence->failures, 1);
}

static __always_inline void note_backend_retransmission(__u32 backend_id)
{
	struct backend_evidence *evidence = ensure_backend_evidence(backend_id);

	if (evidence)
		__sync_fetch_and_add(&evidence->retransmissions, 1);
}

/* Success is the rule: without a row there is nothing to take back, and nothing is written. */
static __always_inline void note_backend_success(__u32 backend_id)
{
	struct backend_evidence *evidence = find_backend_evidence(backend_id);

	if (!evidence || (evidence->failures == 0 && evidence->retransmissions == 0))
		return;
	evidence->failures = 0;
	evidence->retransmissions = 0;
	evidence->last_success_ns = bpf_ktime_get_ns();
}
