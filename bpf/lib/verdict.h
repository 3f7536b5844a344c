/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Whether a packet may leave or enter an endpoint:
 *
 *   part of a connection? ── yes ── judged under this revision and identity? ── yes ─► passes
 *        │ no                                      │ no
 *        ▼                                         ▼
 *   judged as the first packet             judged again, as the first packet was: if it is not
 *   of a connection                        allowed any more, the connection ends here
 */
#pragma once
#include "../include/drop.h"
#include "../include/layout.h"
#include "../include/policy.h"
#include "passage.h"
#include "policies.h"
#include "records.h"
#include "related.h"
#include "segment.h"
#include "tracking.h"
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

static __always_inline __u8 direction_of(const struct passage *passage)
{
	return passage->sent ? TRAFFIC_EGRESS : TRAFFIC_INGRESS;
}

/* An error goes to who sent what it quotes, and any router may send it. */
static __noinline bool belongs_to_connection(struct __sk_buff *skb, const struct segment *error,
					     const struct passage *passage,
					     const struct policy_state *state)
{
	struct passage quoted = *passage;
	struct connection *connection;

	quoted.tcp_flags = 0;
	if (!read_quoted(skb, error, &quoted))
		return false;
	connection = find_connection(&quoted);
	if (!connection)
		return false;
	quoted.remote_identity = connection->remote_identity;
	return judge_again(&quoted, state, connection) == DROP_NONE;
}

static __noinline enum drop_reason judge_first(struct passage *passage,
					       const struct policy_state *state)
{
	enum drop_reason reason = judge(passage, direction_of(passage), state);

	/* A reset opens nothing. */
	if (reason == DROP_NONE && !(passage->tcp_flags & TCP_RST))
		open_connection(passage, state ? state->revision : 0);
	return reason;
}

/* Of a packet that is part of a connection. If it is of none, `is_first` is set instead. */
static __noinline enum drop_reason judge_next(struct passage *passage,
					      const struct policy_state *state, bool *is_first)
{
	struct connection *connection = find_connection(passage);
	bool begins = (passage->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	enum drop_reason reason;

	*is_first = !connection;
	if (!connection)
		return DROP_NONE;
	reason = judge_again(passage, state, connection);
	/* Who was asked may answer; it may not ask by the same ports. */
	if (reason == DROP_NONE && begins && !is_opener(passage, connection))
		reason = judge(passage, direction_of(passage), state);
	if (reason == DROP_NONE)
		account(passage, connection);
	return reason;
}

static __always_inline enum drop_reason
judge_passage(struct __sk_buff *skb, struct segment *segment, struct passage *passage, __u8 mode)
{
	const struct policy_state *state = find_policy_state(passage->ifindex);
	enum drop_reason reason = check_enforcement(mode, state);
	bool is_first;

	if (reason != DROP_NONE)
		return reason;
	reason = judge_next(passage, state, &is_first);
	if (is_first && is_echo_reply(segment)) {
		/* Nobody has asked. */
		take_as_single_message(segment);
		set_ports(passage, segment);
		reason = judge_next(passage, state, &is_first);
	}
	if (!is_first)
		return reason;
	if (is_icmp_error(segment) && segment->place != FRAGMENT_LATER &&
	    belongs_to_connection(skb, segment, passage, state))
		return DROP_NONE;
	return judge_first(passage, state);
}

/*
 * The reason to drop the packet, which then is on record, or DROP_NONE. `reason` is what was
 * found before: it cannot be read, or must not pass whatever policies say.
 */
static __always_inline enum drop_reason
judge_packet(struct __sk_buff *skb, const struct packet *packet, struct segment *segment,
	     struct passage *passage, __u8 mode, enum drop_reason reason)
{
	if (reason == DROP_NONE && segment->place != FRAGMENT_NONE)
		reason = join_fragments(packet, segment);
	begin_passage(skb, packet, segment, passage);
	if (reason == DROP_NONE)
		reason = judge_passage(skb, segment, passage, mode);
	if (reason != DROP_NONE)
		note_denial(passage, reason);
	return reason;
}
