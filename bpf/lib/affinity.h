/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Session affinity: a client (a network namespace) keeps the backend that it was given until it
 * has not called for the service's time-out. A session ends earlier when its backend is down or
 * gone, has left the service, or its cluster cannot serve or yields the client to another. A better
 * tier that comes back does not end it: a session exists so that its client stays.
 */
#pragma once
#include "../include/layout.h"
#include "services.h"
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* Pods of one node by services with affinity that they use; the least recently used one yields. */
#define AFFINITY_MAX 65536
#define NANOSECONDS_A_SECOND 1000000000ULL

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AFFINITY_MAX);
	__type(key, struct affinity_key);
	__type(value, struct affinity);
} affinity SEC(".maps");

struct cluster_group_search {
	__u32 service_id;
	__u32 backend_count; /* 0: the service has no backends in that cluster. */
	__u16 cluster_id;
};

static long find_cluster_group(__u32 index, struct cluster_group_search *search)
{
	struct group_key key = {.service_id = search->service_id, .index = index};
	const struct group *group = bpf_map_lookup_elem(&groups, &key);

	if (!group || group->cluster_id != search->cluster_id)
		return 0;
	if (group->weight)
		search->backend_count = group->backend_count;
	return 1;
}

struct backend_search {
	struct backend_slot_key key;
	__u32 backend_id;
	bool found;
};

static long find_backend_slot(__u32 index, struct backend_search *search)
{
	struct backend_slot_key key = search->key;
	const struct backend_slot *slot;

	key.slot = index;
	slot = bpf_map_lookup_elem(&backend_slots, &key);
	if (!slot || slot->backend_id != search->backend_id)
		return 0;
	search->key.slot = index;
	search->found = true;
	return 1;
}

/*
 * Whether the session's backend still is one of the service's. Its slot is looked at first; only
 * after the group has changed are all slots searched, once, and the slot remembered.
 */
static __always_inline bool session_belongs(const struct service *service, struct affinity *session)
{
	struct cluster_group_search group = {
		.service_id = service->service_id,
		.cluster_id = session->cluster_id,
	};
	struct backend_search search = {.backend_id = session->backend_id};
	__u32 count = service->group_count;

	if (count > SERVICE_GROUPS_MAX)
		count = SERVICE_GROUPS_MAX;
	bpf_loop(count, find_cluster_group, &group, 0);
	search.key.service_id = service->service_id;
	search.key.cluster_id = session->cluster_id;
	if (session->slot < group.backend_count)
		find_backend_slot(session->slot, &search);
	if (!search.found) {
		count = group.backend_count;
		if (count > GROUP_BACKENDS_MAX)
			count = GROUP_BACKENDS_MAX;
		bpf_loop(count, find_backend_slot, &search, 0);
	}
	session->slot = search.key.slot;
	return search.found;
}

enum session_answer {
	SESSION_NONE,
	SESSION_KEPT,
	SESSION_YIELDING, /* Kept only where no other cluster can serve. */
};

/* If the client has a valid session, `found` is its backend. */
static __always_inline enum session_answer resume_session(const struct service *service, bool ipv4,
							  __u64 client, struct selection *found)
{
	struct affinity_key key = {.client = client, .service_id = service->service_id};
	struct affinity *session = bpf_map_lookup_elem(&affinity, &key);
	const struct backend *backend;
	struct backend_key backend_key;
	enum cluster_answer answer;
	__u64 now_ns = bpf_ktime_get_ns();

	if (!session || now_ns - session->last_used_ns >
				service->affinity_timeout_seconds * NANOSECONDS_A_SECOND)
		return SESSION_NONE;
	backend_key.backend_id = session->backend_id;
	backend = bpf_map_lookup_elem(&backends, &backend_key);
	if (!backend || backend->state == BACKEND_DOWN)
		return SESSION_NONE;
	answer = ask_cluster(session->cluster_id, ipv4, client);
	if (answer == CLUSTER_UNUSABLE || !session_belongs(service, session))
		return SESSION_NONE;
	session->last_used_ns = now_ns;
	found->backend = *backend;
	found->backend_id = session->backend_id;
	found->cluster_id = session->cluster_id;
	found->slot = session->slot;
	return answer == CLUSTER_USABLE ? SESSION_KEPT : SESSION_YIELDING;
}

static __always_inline void begin_session(const struct service *service, __u64 client,
					  const struct selection *selected)
{
	struct affinity_key key = {.client = client, .service_id = service->service_id};
	struct affinity session = {
		.last_used_ns = bpf_ktime_get_ns(),
		.backend_id = selected->backend_id,
		.cluster_id = selected->cluster_id,
		.slot = selected->slot,
	};

	bpf_map_update_elem(&affinity, &key, &session, BPF_ANY);
}
