/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Services, their groups (one a cluster) and backends, and the choice between them:
 *
 *   frontend -> service -> group of the best tier that can serve -> backend
 *
 * A selection reads several maps while user space changes them. User space writes backends,
 * slots, groups, service in this order and removes in the reverse order, so whatever mixture a
 * selection sees, a backend that it finds is one of the service's.
 */
#pragma once
#include "../include/drop.h"
#include "../include/layout.h"
#include "clusters.h"
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* 10,000 services of three ports in two families are 60,000 frontends; room for twice as many. */
#define SERVICES_MAX 131072
/* Frontends by clusters that serve them; most services live in a few clusters. */
#define GROUPS_MAX 262144
/* 100,000 endpoints with several ports each, in two families, some behind several services. */
#define BACKEND_SLOTS_MAX 1048576
#define BACKENDS_MAX 524288

/* The groups of one frontend: one for each cluster id but 0. */
#define SERVICE_GROUPS_MAX (CLUSTER_IDS - 1)
/* Keeps the sum of all weights of a tier below 2^32. */
#define GROUP_WEIGHT_MAX (1 << 22)
/* Slot numbers have 16 bits. */
#define GROUP_BACKENDS_MAX (1 << 16)
/*
 * How many slots are tried for a backend that is not down. Groups are compacted within moments
 * of a health change, so more than a few dead slots in a row means that all are dead.
 */
#define SLOT_TRIES_MAX 64

/* Not preallocated: an idle node shall not pin the memory of a full one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVICES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GROUPS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct group_key);
	__type(value, struct group);
} groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BACKEND_SLOTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct backend_slot_key);
	__type(value, struct backend_slot);
} backend_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BACKENDS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct backend_key);
	__type(value, struct backend);
} backends SEC(".maps");

/* A selected backend and where it stands. */
struct selection {
	struct backend backend;
	__u32 backend_id; /* 0: nothing selected. */
	__u16 cluster_id;
	__u16 slot;
};

struct group_search {
	__u64 client;
	__u32 service_id;
	__u32 total_weight;
	struct group chosen; /* backend_count 0: none yet. */
	struct group spare;  /* The best one that was passed over only for a partial drain. */
};

static long consider_group(__u32 index, struct group_search *search)
{
	struct group_key key = {.service_id = search->service_id, .index = index};
	const struct group *group = bpf_map_lookup_elem(&groups, &key);
	enum cluster_answer answer;
	__u32 weight;

	if (!group || group->weight == 0 || group->backend_count == 0)
		return 0;
	if (search->chosen.backend_count && group->tier != search->chosen.tier)
		return 1; /* Sorted by tier: only worse ones follow. */
	answer = ask_cluster(group->cluster_id, search->client);
	if (answer == CLUSTER_DRAINING && !search->spare.backend_count)
		search->spare = *group;
	if (answer != CLUSTER_USABLE)
		return 0;
	/*
	 * Weighted choice in one pass: the newcomer replaces the chosen one with the probability
	 * weight / (sum of the weights so far). The first always does.
	 */
	weight = group->weight < GROUP_WEIGHT_MAX ? group->weight : GROUP_WEIGHT_MAX;
	search->total_weight += weight;
	if (scale(bpf_get_prandom_u32(), search->total_weight) < weight)
		search->chosen = *group;
	return 0;
}

/* A drain by less than 100 % yields to other clusters, and serves where there is none. */
static __always_inline bool choose_group(const struct service *service, __u64 client,
					 struct group *group)
{
	struct group_search search = {.client = client, .service_id = service->service_id};
	__u32 count = service->group_count;

	if (count > SERVICE_GROUPS_MAX)
		count = SERVICE_GROUPS_MAX;
	bpf_loop(count, consider_group, &search, 0);
	*group = search.chosen.backend_count ? search.chosen : search.spare;
	return group->backend_count != 0;
}

struct slot_search {
	__u32 service_id;
	__u32 backend_count;
	__u32 first;
	struct selection *found;
};

static long try_slot(__u32 index, struct slot_search *search)
{
	struct selection *found = search->found;
	__u32 slot = search->first + index;
	struct backend_slot_key key = {};
	const struct backend_slot *backend_slot;
	const struct backend *backend;

	if (slot >= search->backend_count)
		slot -= search->backend_count;
	key.service_id = search->service_id;
	key.cluster_id = found->cluster_id;
	key.slot = slot;
	backend_slot = bpf_map_lookup_elem(&backend_slots, &key);
	if (!backend_slot)
		return 0;
	backend = bpf_map_lookup_elem(&backends, backend_slot);
	if (!backend || backend->state == BACKEND_DOWN)
		return 0;
	found->backend = *backend;
	found->backend_id = backend_slot->backend_id;
	found->slot = slot;
	return 1;
}

/* A random backend of the group, or the next one in slot order that is not down. */
static __always_inline bool choose_backend(const struct service *service, const struct group *group,
					   struct selection *found)
{
	struct slot_search search = {
		.service_id = service->service_id,
		.backend_count = group->backend_count,
		.found = found,
	};
	__u32 tries;

	if (search.backend_count > GROUP_BACKENDS_MAX)
		search.backend_count = GROUP_BACKENDS_MAX;
	tries = search.backend_count < SLOT_TRIES_MAX ? search.backend_count : SLOT_TRIES_MAX;
	search.first = scale(bpf_get_prandom_u32(), search.backend_count);
	found->cluster_id = group->cluster_id;
	bpf_loop(tries, try_slot, &search, 0);
	return found->backend_id != 0;
}

/* DROP_NONE with `found` filled, or the reason why there is no backend. */
static __always_inline enum drop_reason select_backend(const struct service *service, __u64 client,
						       struct selection *found)
{
	struct group group;

	if (!choose_group(service, client, &group))
		return DROP_NO_USABLE_CLUSTER;
	if (!choose_backend(service, &group, found))
		return DROP_NO_BACKEND;
	return DROP_NONE;
}
