/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Counting of refused packets and connections by reason. */
#pragma once
#include "../include/drop.h"
#include "../include/layout.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DROP_REASON_COUNT);
	__type(key, __u32); /* enum drop_reason */
	__type(value, struct count);
} drops SEC(".maps");

static __always_inline void count_drop(enum drop_reason reason)
{
	__u32 key = reason;
	struct count *count = bpf_map_lookup_elem(&drops, &key);

	if (count)
		count->value++;
}
