/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Clears away what is over: connections that are closed or silent, and denials that nothing more
 * was denied of. Run now and then by whoever is awake. Nothing depends on it: a connection that is
 * over is not found, and maps that are full forget by themselves.
 */
#pragma once
#include "../include/layout.h"
#include "../include/policy.h"
#include "counters.h"
#include "records.h"
#include "tracking.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define DENIAL_SILENCE_NS (60 * NS_PER_SECOND)

struct collection {
	__u64 now_ns;
	__u32 collected;
};

static long collect_connection(void *map, const struct connection_key *key,
			       struct connection *connection, struct collection *collection)
{
	struct connection_key copy = *key;

	if (!is_forgotten(&copy, connection, collection->now_ns))
		return 0;
	record_end(&copy, connection, collection->now_ns);
	bpf_map_delete_elem(&connections, &copy);
	count_event(COUNTER_CONNECTION_COLLECTED);
	collection->collected++;
	return 0;
}

/* What was denied since its last record is told of before it is forgotten. */
static long collect_denial(void *map, const struct denial_key *key, struct denial *denial,
			   struct collection *collection)
{
	struct denial_key copy = *key;
	__u64 silence_ns = collection->now_ns - denial->last_report_ns;

	if ((__s64)silence_ns < (__s64)DENIAL_INTERVAL_NS)
		return 0;
	if (denial->packets) {
		denial->last_report_ns = collection->now_ns;
		tell_denial(&copy, denial, collection->now_ns);
	} else if (silence_ns > DENIAL_SILENCE_NS) {
		bpf_map_delete_elem(&denials, &copy);
	}
	return 0;
}

/* Returns how many connections were collected. */
static __always_inline int handle_collect(void)
{
	struct collection collection = {.now_ns = bpf_ktime_get_ns()};

	bpf_for_each_map_elem(&connections, collect_connection, &collection, 0);
	bpf_for_each_map_elem(&denials, collect_denial, &collection, 0);
	return collection.collected;
}
