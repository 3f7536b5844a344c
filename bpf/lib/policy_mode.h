/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Whether policy is in force on this node. */
#pragma once
#include "../include/layout.h"
#include "../include/policy.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_node);
} policy_node SEC(".maps");

static __always_inline __u8 policy_mode(void)
{
	__u32 key = 0;
	const struct policy_node *node = bpf_map_lookup_elem(&policy_node, &key);

	return node ? node->mode : POLICY_OFF;
}
