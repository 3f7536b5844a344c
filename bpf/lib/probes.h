/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Echo requests by which nodes find out whether others are reached on the way that pods use. */
#pragma once
#include "../include/layout.h"
#include "clusters.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Three nodes in each of 511 clusters, and as many again that passive evidence names. */
#define PROBE_TARGETS_MAX 2048

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROBE_TARGETS_MAX);
	__type(key, __u32); /* Number of the target. */
	__type(value, struct probe);
} probes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CLUSTER_IDS);
	__type(key, __u32); /* Cluster id of the sender. */
	__type(value, struct probe_request);
} probe_requests SEC(".maps");
