/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Who talks with whom: the connections of this node's endpoints. One look-up answers for both
 * directions; a connection stays as long as the policy and the identity that allowed it do.
 */
#pragma once
#include "../include/drop.h"
#include "../include/layout.h"
#include "../include/policy.h"
#include "counters.h"
#include "passage.h"
#include "policies.h"
#include "records.h"
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* 250 for each of 500 pods; some 30 MB. When it is full the one silent for longest goes. */
#define CONNECTIONS_MAX 131072

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONNECTIONS_MAX);
	__type(key, struct connection_key);
	__type(value, struct connection);
} connections SEC(".maps");

/*
 * How long a connection may be silent before it is forgotten. An established TCP connection: as
 * long as Linux waits before its first keep-alive (two hours), and its probes (11 minutes).
 */
#define TCP_OPEN_NS (8000 * NS_PER_SECOND)
#define TCP_OPENING_NS (60 * NS_PER_SECOND)
#define TCP_CLOSED_NS (10 * NS_PER_SECOND)
#define OTHER_OPEN_NS (120 * NS_PER_SECOND)
#define OTHER_OPENING_NS (60 * NS_PER_SECOND)

static __always_inline __u64 silence_limit(const struct connection_key *key,
					   const struct connection *connection)
{
	bool tcp = key->protocol == IPPROTO_TCP;

	if (connection->state == CONNECTION_CLOSED)
		return TCP_CLOSED_NS;
	if (connection->state == CONNECTION_OPENING)
		return tcp ? TCP_OPENING_NS : OTHER_OPENING_NS;
	return tcp ? TCP_OPEN_NS : OTHER_OPEN_NS;
}

static __always_inline bool is_forgotten(const struct connection_key *key,
					 const struct connection *connection, __u64 now_ns)
{
	/* Another processor may have seen a packet since we looked at the clock. */
	return (__s64)(now_ns - connection->last_seen_ns) > (__s64)silence_limit(key, connection);
}

static __always_inline bool is_opener(const struct passage *passage,
				      const struct connection *connection)
{
	return passage->sent == (connection->direction == TRAFFIC_EGRESS);
}

/* Its end, for people, unless they have been told. */
static __always_inline void record_end(const struct connection_key *key,
				       struct connection *connection, __u64 now_ns)
{
	bool opened = connection->direction == TRAFFIC_EGRESS;
	struct occasion end = {.now_ns = now_ns, .kind = FLOW_CLOSED, .sent = opened};

	if (connection->state == CONNECTION_CLOSED)
		return;
	connection->state = CONNECTION_CLOSED;
	if (is_icmp_protocol(key->protocol))
		end.icmp_type = bpf_ntohs(opened ? key->remote_port : key->local_port);
	record_connection(key, connection, &end);
}

static __always_inline void report_passage(__u8 kind, const struct passage *passage,
					   struct connection *connection)
{
	struct occasion occasion = {
		.now_ns = passage->now_ns,
		.kind = kind,
		.sent = passage->sent,
		.icmp_type = passage->icmp_type,
		.icmp_code = passage->icmp_code,
	};

	record_connection(&passage->key, connection, &occasion);
}

/* What TCP's flags make of the connection. */
static __always_inline __u8 next_state(const struct connection *connection, __u8 flags, bool answer)
{
	__u8 fins = (connection->sent_flags & TCP_FIN) + (connection->received_flags & TCP_FIN);

	if (connection->state == CONNECTION_CLOSED || flags & TCP_RST || fins == 2)
		return CONNECTION_CLOSED;
	if (fins)
		return CONNECTION_CLOSING;
	return answer ? CONNECTION_OPEN : connection->state;
}

/* The packet is the connection's: counts it, and tells of it if there is something to tell. */
static __always_inline void account(const struct passage *passage, struct connection *connection)
{
	__u8 *seen = passage->sent ? &connection->sent_flags : &connection->received_flags;
	__u8 news = passage->tcp_flags & ~*seen & (TCP_SYN | TCP_FIN | TCP_RST);
	__u64 last_report_ns = connection->last_report_ns;
	__u8 before = connection->state;
	__u8 kind = FLOW_UPDATE;

	connection->last_seen_ns = passage->now_ns;
	if (passage->sent) {
		__sync_fetch_and_add(&connection->sent_packets, passage->packets);
		__sync_fetch_and_add(&connection->sent_bytes, passage->bytes);
	} else {
		__sync_fetch_and_add(&connection->received_packets, passage->packets);
		__sync_fetch_and_add(&connection->received_bytes, passage->bytes);
	}
	if (passage->tcp_flags & ~*seen)
		*seen |= passage->tcp_flags;
	if (before != CONNECTION_OPEN || news)
		connection->state =
			next_state(connection, passage->tcp_flags, !is_opener(passage, connection));
	if (before == CONNECTION_CLOSED)
		return; /* Its end was told. */
	if (connection->state == CONNECTION_CLOSED)
		kind = FLOW_CLOSED;
	else if (!news && passage->now_ns - last_report_ns < UPDATE_INTERVAL_NS)
		return;
	if (__sync_val_compare_and_swap(&connection->last_report_ns, last_report_ns,
					passage->now_ns) == last_report_ns ||
	    kind == FLOW_CLOSED)
		report_passage(kind, passage, connection);
}

/* The endpoint's policy has allowed the packet, which is the first of something. */
static __always_inline void open_connection(const struct passage *passage, __u32 revision)
{
	struct connection connection = {
		.created_ns = passage->now_ns,
		.last_seen_ns = passage->now_ns,
		.last_report_ns = passage->now_ns,
		.remote_identity = passage->remote_identity,
		.rule = passage->rule,
		.revision = revision,
		.ifindex = passage->ifindex,
	};

	if (passage->sent) {
		connection.direction = TRAFFIC_EGRESS;
		connection.sent_packets = passage->packets;
		connection.sent_bytes = passage->bytes;
		connection.sent_flags = passage->tcp_flags;
	} else {
		connection.direction = TRAFFIC_INGRESS;
		connection.received_packets = passage->packets;
		connection.received_bytes = passage->bytes;
		connection.received_flags = passage->tcp_flags;
	}
	/* We came in the middle of it. */
	if (passage->key.protocol == IPPROTO_TCP && !(passage->tcp_flags & TCP_SYN))
		connection.state =
			passage->tcp_flags & TCP_FIN ? CONNECTION_CLOSING : CONNECTION_OPEN;
	report_passage(FLOW_NEW, passage, &connection);
	if (bpf_map_update_elem(&connections, &passage->key, &connection, BPF_ANY))
		count_event(COUNTER_CONNECTION_UNTRACKED);
	else
		count_event(COUNTER_CONNECTION_OPENED);
}

/*
 * Whether what allowed the connection still does, and if not, its end. The node's row for a pod
 * that it does not know yet says nothing against what the pod's own node says of it.
 */
static __always_inline enum drop_reason judge_again(struct passage *passage,
						    const struct policy_state *state,
						    struct connection *connection)
{
	__u32 revision = state ? state->revision : 0;
	enum drop_reason reason;

	if (passage->remote_identity == IDENTITY_UNMANAGED)
		passage->remote_identity = connection->remote_identity;
	if (connection->revision == revision &&
	    connection->remote_identity == passage->remote_identity)
		return DROP_NONE;
	count_event(COUNTER_CONNECTION_JUDGED_AGAIN);
	reason = judge(passage, connection->direction, state);
	if (reason != DROP_NONE) {
		count_event(COUNTER_CONNECTION_CUT);
		record_end(&passage->key, connection, passage->now_ns);
		bpf_map_delete_elem(&connections, &passage->key);
		return reason;
	}
	connection->remote_identity = passage->remote_identity;
	connection->rule = passage->rule;
	connection->revision = revision;
	return DROP_NONE;
}

/* The connection that the packet may be part of; one that is over is not. */
static __always_inline struct connection *find_connection(const struct passage *passage)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &passage->key);
	bool begins = (passage->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;

	if (!connection)
		return NULL;
	/* Who has said that it ends it and then sends a SYN begins another one. */
	if (!(begins && connection->state >= CONNECTION_CLOSING) &&
	    !is_forgotten(&passage->key, connection, passage->now_ns))
		return connection;
	record_end(&passage->key, connection, passage->now_ns);
	bpf_map_delete_elem(&connections, &passage->key);
	return NULL;
}
