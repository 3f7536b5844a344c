/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Who talks with whom: the connections of this node's endpoints. */
#pragma once
#include "../include/layout.h"
#include "../include/policy.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* 250 for each of 500 pods; some 30 MB. When it is full the one silent for longest goes. */
#define CONNECTIONS_MAX 131072

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONNECTIONS_MAX);
	__type(key, struct connection_key);
	__type(value, struct connection);
} connections SEC(".maps");
