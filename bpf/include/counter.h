/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What the programs count when all goes well; what goes wrong is in drop.h. The numbers are the
 * index into the `counters` map and are never reused.
 */
#pragma once

enum counter {
	COUNTER_SERVICE_TRANSLATED = 0, /* Calls to a frontend that were given a backend. */
	COUNTER_SERVICE_REFUSED = 1,	/* Calls to a frontend that failed; `drops` says why. */
	COUNTER_AFFINITY_KEPT = 2,	/* The client was given the backend of its session again. */
	COUNTER_REPLY_TRANSLATED = 3,	/* recvmsg and getpeername that showed the frontend. */
	COUNTER_POD_TO_OVERLAY = 4,
	COUNTER_POD_TO_STACK = 5,
	COUNTER_HOST_TO_OVERLAY = 6,
	COUNTER_OVERLAY_TO_POD = 7,
	COUNTER_OVERLAY_TO_STACK = 8,
	COUNTER_PROBE_ANSWERED = 9,	/* Replies to this node's own probes. */
	COUNTER_FLOW_RECORDS_LOST = 10, /* No room in the ring buffer. */
	COUNTER_CONNECTION_OPENED = 11,
	COUNTER_CONNECTION_JUDGED_AGAIN = 12, /* Another revision, or another identity. */
	COUNTER_CONNECTION_CUT = 13,	      /* Judged again, and no longer allowed. */
	COUNTER_CONNECTION_COLLECTED = 14,    /* Silent for too long, or closed. */
	COUNTER_CONNECTION_UNTRACKED = 15,    /* No room: its packets are judged one by one. */
	COUNTER_COUNT = 16,
};
