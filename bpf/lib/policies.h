/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What an endpoint's policy says: three planes of one trie, a deny before every allow. */
#pragma once
#include "../include/layout.h"
#include "../include/policy.h"
#include "identity.h"
#include "passage.h"
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* A node of 500 pods, with room for one ten times as dense. */
#define POLICY_ENDPOINTS_MAX 8192

/* What an endpoint's policy may cost; more closes it. A map of another size takes its place too. */
#define POLICY_ENTRIES_MAX 16384

/* A whole key: what a packet is looked up with. */
#define POLICY_KEY_BITS 64
/* No verdict of enum policy_verdict. */
#define POLICY_NONE 0

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POLICY_ENDPOINTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct interface_key);
	__type(value, struct policy_state);
} policy_state SEC(".maps");

/*
 * With types the kernel would be told what is in the map, and 6.1 would then refuse every map that
 * was made without: user space makes those that take this one's place.
 */
struct endpoint_policy {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, POLICY_ENTRIES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct policy_key)) sized_as(policy_key);
	__uint(value_size, sizeof(struct policy_entry)) sized_as(policy_entry);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, POLICY_ENDPOINTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct interface_key);
	__array(values, struct endpoint_policy);
} policies SEC(".maps");

/* Who asks to reach an endpoint, or whom it asks for, and the answer. */
struct question {
	struct policy_key key;
	struct policy_entry answer;
	__u32 ifindex;
};

/* What one plane says; `answer` is what has been said so far. */
static __always_inline __u8 ask_plane(void *policy, struct policy_key *key, __u32 identity,
				      struct policy_entry *answer)
{
	const struct policy_entry *entry;

	key->identity = identity;
	entry = bpf_map_lookup_elem(policy, key);
	if (!entry || (entry->verdict != POLICY_ALLOW && entry->verdict != POLICY_DENY))
		return POLICY_NONE;
	if (answer->verdict == POLICY_NONE || entry->verdict == POLICY_DENY)
		*answer = *entry;
	return entry->verdict;
}

/*
 * Three planes: the identity itself, those it is one of, anybody. In each the longest prefix
 * counts; a deny of any plane wins over the allows of all. Not static: the verifier then takes it
 * by itself, whatever its callers know.
 */
__noinline int ask_policy(struct question *question)
{
	struct interface_key endpoint = {};
	struct policy_entry answer = {};
	struct policy_key key;
	__u32 identity, aggregate;
	bool denied;
	void *policy;

	if (!question)
		return DROP_POLICY_PENDING;
	endpoint.ifindex = question->ifindex;
	key = question->key;
	key.prefix_length = POLICY_KEY_BITS;
	identity = key.identity;
	aggregate = aggregate_of(identity);
	policy = bpf_map_lookup_elem(&policies, &endpoint);
	if (!policy)
		return DROP_POLICY_PENDING;
	denied = ask_plane(policy, &key, identity, &answer) == POLICY_DENY;
	if (!denied && aggregate != AGGREGATE_ANYBODY)
		denied = ask_plane(policy, &key, aggregate, &answer) == POLICY_DENY;
	if (!denied)
		denied = ask_plane(policy, &key, AGGREGATE_ANYBODY, &answer) == POLICY_DENY;
	question->answer = answer;
	if (denied)
		return DROP_POLICY_DENY_RULE;
	return answer.verdict == POLICY_ALLOW ? DROP_NONE : DROP_POLICY_DENIED;
}

static __always_inline const struct policy_state *find_policy_state(__u32 ifindex)
{
	struct interface_key key = {.ifindex = ifindex};

	return bpf_map_lookup_elem(&policy_state, &key);
}

/* Whether anything may pass at all, before any rule is asked. */
static __always_inline enum drop_reason check_enforcement(__u8 mode,
							  const struct policy_state *state)
{
	if (!state)
		return mode == POLICY_OPEN ? DROP_NONE : DROP_POLICY_PENDING;
	return state->enforcement == ENFORCEMENT_ON ? DROP_NONE : DROP_POLICY_OVERFLOW;
}

/*
 * Whether the endpoint's policy allows whoever opened the connection to. Without a policy it does,
 * by no rule: then the node is open. The port is that of who did not open it.
 */
static __always_inline enum drop_reason judge(struct passage *passage, __u8 direction,
					      const struct policy_state *state)
{
	struct question question = {.ifindex = passage->ifindex};
	enum drop_reason reason;

	passage->rule = 0;
	if (!state)
		return DROP_NONE;
	question.key.identity = passage->remote_identity;
	question.key.direction = direction;
	question.key.protocol = passage->key.protocol;
	question.key.port =
		direction == TRAFFIC_EGRESS ? passage->key.remote_port : passage->key.local_port;
	reason = ask_policy(&question);
	passage->rule = question.answer.rule;
	return reason;
}
