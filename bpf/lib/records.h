/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What people are told of flows. Of a connection: its first packet, new TCP flags, what passed at
 * intervals, its end. Of what is dropped: the first packet for a reason, then one record a second.
 * A record that finds no room is counted, and what it would have said of packets the next one says.
 */
#pragma once
#include "../include/drop.h"
#include "../include/layout.h"
#include "../include/policy.h"
#include "address.h"
#include "counters.h"
#include "identity.h"
#include "ipcache.h"
#include "passage.h"
#include "policies.h"
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* A tenth of a second of 90,000 records a second, for a reader that looks ten times a second. */
#define FLOW_RECORDS_BYTES (1 << 20)

/* What is being dropped at one time; a scan of ports pushes older ones out. */
#define DENIALS_MAX 16384

#define NS_PER_SECOND 1000000000ULL
#define UPDATE_INTERVAL_NS (5 * NS_PER_SECOND)
#define DENIAL_INTERVAL_NS NS_PER_SECOND

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FLOW_RECORDS_BYTES);
} flow_records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, DENIALS_MAX);
	__type(key, struct denial_key);
	__type(value, struct denial);
} denials SEC(".maps");

/* NULL if there is no room; to be looked at once, since 6.1 forgets what it has seen. */
static __always_inline struct flow_record *reserve_record(void)
{
	return bpf_ringbuf_reserve(&flow_records, sizeof(struct flow_record), 0);
}

/* Nobody is woken: the reader looks at intervals, and a wake-up costs more than the record. */
static __always_inline void end_record(struct flow_record *record)
{
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

static __always_inline __u32 endpoint_identity(__u32 ifindex, const __u8 *address)
{
	const struct policy_state *state = find_policy_state(ifindex);
	const struct ipcache_entry *entry;

	if (state)
		return state->identity;
	entry = find_ipcache_entry(address);
	return entry ? entry->identity : IDENTITY_INIT;
}

/* Who and where, from the side of the packet's sender. */
static __always_inline void describe_ends(struct flow_record *record,
					  const struct connection_key *key, bool sent,
					  __u32 ifindex, __u32 remote_identity)
{
	__u32 local_identity = endpoint_identity(ifindex, key->local);
	bool ports = !is_icmp_protocol(key->protocol);

	copy_address(record->source, sent ? key->local : key->remote);
	copy_address(record->destination, sent ? key->remote : key->local);
	record->source_identity = sent ? local_identity : remote_identity;
	record->destination_identity = sent ? remote_identity : local_identity;
	record->source_port = !ports ? 0 : sent ? key->local_port : key->remote_port;
	record->destination_port = !ports ? 0 : sent ? key->remote_port : key->local_port;
	record->protocol = key->protocol;
	record->ifindex = ifindex;
}

/* What a record says beyond its connection. */
struct occasion {
	__u64 now_ns;
	__u8 kind; /* enum flow_kind */
	bool sent; /* By the endpoint. */
	__u8 icmp_type;
	__u8 icmp_code;
};

/* What a counter has gained since it was last told of. */
static __always_inline __u64 gain(__u64 *reported, __u64 now)
{
	__u64 before = *reported;

	*reported = now;
	return now - before;
}

/*
 * Of a connection, with what passed since its last record. This one, and others of their kind, are
 * not static: the verifier then takes each by itself, once.
 */
__noinline int record_connection(const struct connection_key *key, struct connection *connection,
				 const struct occasion *occasion)
{
	struct flow_record *record;
	bool opened;

	if (!key || !connection || !occasion)
		return 0;
	record = reserve_record();
	if (!record) {
		count_event(COUNTER_FLOW_RECORDS_LOST);
		return 0;
	}
	__builtin_memset(record, 0, sizeof(*record));
	opened = connection->direction == TRAFFIC_EGRESS;
	describe_ends(record, key, occasion->sent, connection->ifindex,
		      connection->remote_identity);
	record->time_ns = occasion->now_ns;
	record->kind = occasion->kind;
	record->verdict = VERDICT_FORWARDED;
	record->rule = connection->rule;
	record->direction = connection->direction;
	record->is_reply = occasion->sent != opened;
	record->tcp_flags = occasion->sent ? connection->sent_flags : connection->received_flags;
	record->icmp_type = occasion->icmp_type;
	record->icmp_code = occasion->icmp_code;
	record->packets = gain(&connection->reported_sent_packets, connection->sent_packets);
	record->bytes = gain(&connection->reported_sent_bytes, connection->sent_bytes);
	record->reply_packets =
		gain(&connection->reported_received_packets, connection->received_packets);
	record->reply_bytes =
		gain(&connection->reported_received_bytes, connection->received_bytes);
	if (!opened) {
		__u64 packets = record->packets, bytes = record->bytes;

		record->packets = record->reply_packets;
		record->bytes = record->reply_bytes;
		record->reply_packets = packets;
		record->reply_bytes = bytes;
	}
	end_record(record);
	return 0;
}

static __noinline void record_denial(const struct denial_key *key, const struct denial *denial,
				     __u64 packets, __u64 bytes, __u64 now_ns)
{
	struct flow_record *record = reserve_record();
	bool sent = key->direction == TRAFFIC_EGRESS;
	bool ports = !is_icmp_protocol(key->protocol);
	__u32 local_identity;

	if (!record) {
		count_event(COUNTER_FLOW_RECORDS_LOST);
		return;
	}
	__builtin_memset(record, 0, sizeof(*record));
	local_identity = endpoint_identity(key->ifindex, sent ? key->source : key->destination);
	copy_address(record->source, key->source);
	copy_address(record->destination, key->destination);
	record->source_identity = sent ? local_identity : denial->remote_identity;
	record->destination_identity = sent ? denial->remote_identity : local_identity;
	record->source_port = ports ? key->source_port : 0;
	record->destination_port = ports ? key->destination_port : 0;
	record->protocol = key->protocol;
	record->ifindex = key->ifindex;
	record->time_ns = now_ns;
	record->kind = FLOW_DROPPED;
	record->verdict = VERDICT_DROPPED;
	record->drop_reason = key->reason;
	record->rule = denial->rule;
	record->direction = key->direction;
	record->tcp_flags = denial->tcp_flags;
	record->icmp_type = denial->icmp_type;
	record->icmp_code = denial->icmp_code;
	record->packets = packets;
	record->bytes = bytes;
	end_record(record);
}

/* Of what was dropped since the last record. */
static __always_inline void tell_denial(const struct denial_key *key, struct denial *denial,
					__u64 now_ns)
{
	__u64 packets = __sync_lock_test_and_set(&denial->packets, 0);
	__u64 bytes = __sync_lock_test_and_set(&denial->bytes, 0);

	record_denial(key, denial, packets, bytes, now_ns);
}

/* Counts what is dropped, and tells of it unless it was told of within the last second. */
__noinline int note_denial(const struct passage *passage, int reason)
{
	struct denial_key key = {.reason = reason};
	const struct connection_key *ends;
	struct denial *denial;
	__u64 last_report_ns;

	if (!passage)
		return 0;
	ends = &passage->key;
	key.ifindex = passage->ifindex;
	copy_address(key.source, passage->sent ? ends->local : ends->remote);
	copy_address(key.destination, passage->sent ? ends->remote : ends->local);
	key.source_port = passage->sent ? ends->local_port : ends->remote_port;
	key.destination_port = passage->sent ? ends->remote_port : ends->local_port;
	key.protocol = ends->protocol;
	key.direction = passage->sent ? TRAFFIC_EGRESS : TRAFFIC_INGRESS;
	denial = bpf_map_lookup_elem(&denials, &key);
	if (!denial) {
		struct denial first = {
			.last_report_ns = passage->now_ns,
			.remote_identity = passage->remote_identity,
			.rule = passage->rule,
			.tcp_flags = passage->tcp_flags,
			.icmp_type = passage->icmp_type,
			.icmp_code = passage->icmp_code,
		};

		bpf_map_update_elem(&denials, &key, &first, BPF_ANY);
		record_denial(&key, &first, passage->packets, passage->bytes, passage->now_ns);
		return 0;
	}
	__sync_fetch_and_add(&denial->packets, passage->packets);
	__sync_fetch_and_add(&denial->bytes, passage->bytes);
	last_report_ns = denial->last_report_ns;
	if (passage->now_ns - last_report_ns < DENIAL_INTERVAL_NS ||
	    __sync_val_compare_and_swap(&denial->last_report_ns, last_report_ns, passage->now_ns) !=
		    last_report_ns)
		return 0; /* Too soon, or another processor tells of it. */
	tell_denial(&key, denial, passage->now_ns);
	return 0;
}
