/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Counting of what the programs did. */
#pragma once
#include "../include/counter.h"
#include "../include/layout.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_COUNT);
	__type(key, __u32); /* enum counter */
	__type(value, struct count);
} counters SEC(".maps");

static __always_inline void count_event(enum counter counter)
{
	__u32 key = counter;
	struct count *count = bpf_map_lookup_elem(&counters, &key);

	if (count)
		count->value++;
}
