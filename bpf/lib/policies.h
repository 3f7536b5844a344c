/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What an endpoint's policy says: three planes of one trie, a deny before every allow. */
#pragma once
#include "../include/layout.h"
#include "../include/policy.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* A node of 500 pods, with room for one ten times as dense. */
#define POLICY_ENDPOINTS_MAX 8192

/* What an endpoint's policy may cost; more closes it. A map of another size takes its place too. */
#define POLICY_ENTRIES_MAX 16384

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_node);
} policy_node SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POLICY_ENDPOINTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct interface_key);
	__type(value, struct policy_state);
} policy_state SEC(".maps");

struct endpoint_policy {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, POLICY_ENTRIES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct policy_key);
	__type(value, struct policy_entry);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, POLICY_ENDPOINTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct interface_key);
	__array(values, struct endpoint_policy);
} policies SEC(".maps");

/*
 * What one plane says. Key and entry are named here whole: in the description of a map within a
 * map the compiler only says that there are such structs, unless something else needs them.
 */
struct plane {
	struct policy_entry entry;
};

/* Of the entries that cover the key, the one with the longest prefix; 0 if there is none. */
__noinline int find_policy_entry(__u32 ifindex, const struct policy_key *key, struct plane *found)
{
	struct interface_key endpoint = {.ifindex = ifindex};
	const struct policy_entry *entry;
	void *policy;

	if (!key || !found)
		return 0;
	policy = bpf_map_lookup_elem(&policies, &endpoint);
	if (!policy)
		return 0;
	entry = bpf_map_lookup_elem(policy, key);
	if (!entry)
		return 0;
	found->entry = *entry;
	return 1;
}
