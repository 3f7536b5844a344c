/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Echo requests by which nodes find out whether others are reached on the way that pods use. The
 * other node's stack answers; the answer is taken in here, so no process has to be awake for it.
 */
#pragma once
#include "../include/layout.h"
#include "address.h"
#include "clusters.h"
#include "icmp.h"
#include "transport.h"
#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* Three nodes in each of 511 clusters, and as many again that passive evidence names. */
#define PROBE_TARGETS_MAX 2048

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROBE_TARGETS_MAX);
	__type(key, __u32); /* Number of the target. */
	__type(value, struct probe);
} probes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CLUSTER_IDS);
	__type(key, __u32); /* Cluster id of the sender. */
	__type(value, struct probe_request);
} probe_requests SEC(".maps");

/* RFC 792 and RFC 4443, with a probe's payload. */
struct probe_message {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 identifier;
	__be16 sequence;
	struct probe_payload payload;
};
_Static_assert(sizeof(struct probe_message) == 32, "probe_message");

enum probe_kind {
	PROBE_NONE,
	PROBE_REQUEST,
	PROBE_REPLY,
};

/* Whether the packet could be a probe, by its protocol and length; then `message` is filled. */
static __always_inline enum probe_kind
read_probe(struct __sk_buff *skb, const struct packet *packet, struct probe_message *message)
{
	struct transport transport = {};

	read_transport(packet, &transport);
	if (transport.protocol != (packet->ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) ||
	    !transport.plain || transport.length != sizeof(*message) ||
	    bpf_skb_load_bytes(skb, transport.offset, message, sizeof(*message)))
		return PROBE_NONE;
	if (message->type == (packet->ipv4 ? ICMPV4_ECHO_REPLY : ICMPV6_ECHO_REPLY))
		return PROBE_REPLY;
	if (message->type == (packet->ipv4 ? ICMPV4_ECHO_REQUEST : ICMPV6_ECHO_REQUEST))
		return PROBE_REQUEST;
	return PROBE_NONE;
}

/* Whether it is the answer, of the one who was asked, to a probe of this node; then it is noted. */
static __always_inline bool note_probe_reply(const struct packet *packet,
					     const struct probe_payload *payload)
{
	__u32 target = payload->target;
	struct probe *probe = bpf_map_lookup_elem(&probes, &target);
	__u64 now_ns = bpf_ktime_get_ns();

	if (!probe || !probe->cookie || probe->cookie != payload->cookie ||
	    payload->sent_ns > now_ns || !addresses_are_equal(probe->address, packet->source))
		return false;
	probe->round_trip_ns = now_ns - payload->sent_ns;
	probe->last_sequence = payload->sequence;
	probe->last_reply_ns = now_ns;
	__sync_fetch_and_add(&probe->replies, 1);
	return true;
}

/* A probe of a node of the cluster has arrived: so the way from there is open. */
static __always_inline void note_probe_request(__u16 cluster_id)
{
	__u32 key = cluster_id;
	struct probe_request *request = bpf_map_lookup_elem(&probe_requests, &key);

	if (!request)
		return;
	request->last_ns = bpf_ktime_get_ns();
	__sync_fetch_and_add(&request->count, 1);
}
