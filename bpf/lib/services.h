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
 * How many slots are tried for a backend that is not down. A backend that is down keeps its slot,
 * but so many dead ones in a row mean that the cluster is as good as dead.
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
	bool yielding; /* Its cluster would have yielded, had another been able to serve. */
};

struct slot_search {
	struct backend_slot_key key; /* Of the slot that was tried last. */
	__u32 backend_count;
	__u32 first;
	__u32 backend_id; /* 0: none found. */
	struct backend *backend;
};

static long try_slot(__u32 index, struct slot_search *search)
{
	__u32 slot = search->first + index;
	const struct backend_slot *backend_slot;
	const struct backend *backend;

	if (slot >= search->backend_count)
		slot -= search->backend_count;
	search->key.slot = slot;
	backend_slot = bpf_map_lookup_elem(&backend_slots, &search->key);
	if (!backend_slot)
		return 0;
	backend = bpf_map_lookup_elem(&backends, backend_slot);
	if (!backend || backend->state == BACKEND_DOWN)
		return 0;
	search->backend_id = backend_slot->backend_id;
	*search->backend = *backend;
	return 1;
}

/* A random backend of the group, or the next one in slot order that is not down. */
static __always_inline bool choose_backend(__u32 service_id, const struct group *group,
					   struct selection *found)
{
	__u32 count = group->backend_count < GROUP_BACKENDS_MAX ? group->backend_count
								: GROUP_BACKENDS_MAX;
	struct slot_search search = {
		.key = {.service_id = service_id, .cluster_id = group->cluster_id},
		.backend_count = count,
		.first = scale(bpf_get_prandom_u32(), count),
		.backend = &found->backend,
	};

	bpf_loop(count < SLOT_TRIES_MAX ? count : SLOT_TRIES_MAX, try_slot, &search, 0);
	found->backend_id = search.backend_id;
	found->cluster_id = group->cluster_id;
	found->slot = search.key.slot;
	return found->backend_id != 0;
}

/* The best tier's groups so far, one of them chosen by weight. */
struct choice {
	struct group group; /* backend_count 0: none yet. */
	__u32 total_weight;
};

struct group_search {
	__u64 client;
	__u32 service_id;
	bool ipv4;
	struct choice chosen; /* Of the clusters that can serve. */
	struct choice spare;  /* Of those that were passed over only because they yield. */
};

/*
 * Weighted choice in one pass: the newcomer replaces the chosen one with the probability
 * weight / (sum of the weights so far). The first always does.
 */
static __always_inline void offer_group(struct choice *choice, const struct group *group)
{
	__u32 weight = group->weight < GROUP_WEIGHT_MAX ? group->weight : GROUP_WEIGHT_MAX;

	if (choice->group.backend_count && choice->group.tier != group->tier)
		return; /* Sorted by tier: this one is worse. */
	choice->total_weight += weight;
	if (scale(bpf_get_prandom_u32(), choice->total_weight) < weight)
		choice->group = *group;
}

/* The group at `index` if it has weight and backends. */
static __always_inline const struct group *find_group(const struct group_search *search,
						      __u32 index)
{
	struct group_key key = {.service_id = search->service_id, .index = index};
	const struct group *group = bpf_map_lookup_elem(&groups, &key);

	return group && group->weight && group->backend_count ? group : NULL;
}

/* Whether the choice is made: from `group` on, only worse tiers follow. */
static __always_inline bool is_decided(const struct group_search *search, const struct group *group)
{
	const struct group *chosen = &search->chosen.group;

	return chosen->backend_count && chosen->tier != group->tier;
}

static __always_inline long offer_if_usable(struct group_search *search, const struct group *group)
{
	switch (ask_cluster(group->cluster_id, search->ipv4, search->client)) {
	case CLUSTER_USABLE:
		offer_group(&search->chosen, group);
		break;
	case CLUSTER_YIELDING:
		offer_group(&search->spare, group);
		break;
	case CLUSTER_UNUSABLE:
		break;
	}
	return 0;
}

static long consider_group(__u32 index, struct group_search *search)
{
	const struct group *group = find_group(search, index);

	if (!group)
		return 0;
	if (is_decided(search, group))
		return 1;
	return offer_if_usable(search, group);
}

static __always_inline __u32 count_groups(const struct service *service)
{
	return service->group_count < SERVICE_GROUPS_MAX ? service->group_count
							 : SERVICE_GROUPS_MAX;
}

/* Whether any of the slots that a choice would try has a backend that is not down. */
static __noinline bool group_is_live(__u32 service_id, const struct group *group)
{
	struct selection any = {};

	return choose_backend(service_id, group, &any);
}

static long consider_live_group(__u32 index, struct group_search *search)
{
	const struct group *group = find_group(search, index);

	if (!group)
		return 0;
	if (is_decided(search, group))
		return 1;
	if (!group_is_live(search->service_id, group))
		return 0;
	return offer_if_usable(search, group);
}

static __always_inline enum drop_reason choose_from(const struct group_search *search,
						    struct selection *found)
{
	struct group group = search->chosen.group;

	found->yielding = group.backend_count == 0;
	if (found->yielding)
		group = search->spare.group;
	if (group.backend_count == 0)
		return DROP_NO_USABLE_CLUSTER;
	return choose_backend(search->service_id, &group, found) ? DROP_NONE : DROP_NO_BACKEND;
}

/*
 * DROP_NONE with `found` filled, or the reason why there is no backend. A cluster that yields a
 * share yields to others, and serves where there is none. This one and the next are not static:
 * the verifier then takes each by itself, whatever its callers know.
 */
__noinline int select_backend(const struct service *service, bool ipv4, __u64 client,
			      struct selection *found)
{
	struct group_search search = {.client = client, .ipv4 = ipv4};

	if (!service || !found)
		return DROP_NO_BACKEND;
	search.service_id = service->service_id;
	bpf_loop(count_groups(service), consider_group, &search, 0);
	return choose_from(&search, found);
}

/*
 * The same among groups with a backend that is not down, which is looked for in each: a walk over
 * all of them, so it is made only when the first choice turned out to be dead.
 */
__noinline int select_live_backend(const struct service *service, bool ipv4, __u64 client,
				   struct selection *found)
{
	struct group_search search = {.client = client, .ipv4 = ipv4};

	if (!service || !found)
		return DROP_NO_BACKEND;
	search.service_id = service->service_id;
	bpf_loop(count_groups(service), consider_live_group, &search, 0);
	return choose_from(&search, found) == DROP_NONE ? DROP_NONE : DROP_NO_BACKEND;
}
