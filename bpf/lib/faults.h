/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Faults that drills inject into packets between nodes. */
#pragma once
#include "../include/layout.h"
#include "clusters.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CLUSTER_IDS);
	__type(key, __u32); /* Cluster id of the peer; 0: every other node. */
	__type(value, struct fault);
} faults SEC(".maps");
