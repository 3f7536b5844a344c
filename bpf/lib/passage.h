/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* A packet on its way out of or into an endpoint, as policy and connections see it. */
#pragma once
#include "../include/layout.h"
#include "../include/policy.h"
#include "fragments.h"
#include "packet.h"
#include "segment.h"
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

struct passage {
	struct connection_key key;
	__u32 ifindex; /* Of the endpoint. */
	__u32 remote_identity;
	__u32 packets; /* More than one where the kernel will still cut it into segments. */
	__u32 bytes;
	__u64 now_ns;
	__u32 rule; /* That decided, once it is judged. */
	bool sent;  /* By the endpoint. */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
};

static __always_inline bool is_icmp_protocol(__u8 protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static __always_inline void set_ports(struct passage *passage, const struct segment *segment)
{
	bool sent = passage->sent;

	passage->key.local_port = sent ? segment->source_port : segment->destination_port;
	passage->key.remote_port = sent ? segment->destination_port : segment->source_port;
}

/*
 * Tells all fragments by what the first one says. They come in order, or as good as: one that
 * overtakes the first is dropped, and sent again with the rest.
 */
static __noinline enum drop_reason join_fragments(const struct packet *packet,
						  struct segment *segment)
{
	struct fragment_key key = {.identification = segment->identification};
	struct fragment first = {};
	const struct fragment *found;

	__builtin_memcpy(key.source, packet->source, ADDRESS_BYTES);
	__builtin_memcpy(key.destination, packet->destination, ADDRESS_BYTES);
	key.protocol = segment->ipv4 ? segment->protocol : 0;
	if (segment->place == FRAGMENT_FIRST) {
		first.source_port = segment->source_port;
		first.destination_port = segment->destination_port;
		first.icmp_type = segment->icmp_type;
		first.icmp_code = segment->icmp_code;
		first.protocol = segment->protocol;
		bpf_map_update_elem(&fragments, &key, &first, BPF_ANY);
		return DROP_NONE;
	}
	found = bpf_map_lookup_elem(&fragments, &key);
	if (!found)
		return DROP_FRAGMENT;
	segment->source_port = found->source_port;
	segment->destination_port = found->destination_port;
	segment->icmp_type = found->icmp_type;
	segment->icmp_code = found->icmp_code;
	segment->protocol = found->protocol;
	return DROP_NONE;
}

/* Fills in all but whether the endpoint has sent it and who is remote, which the caller knows. */
static __always_inline void begin_passage(struct __sk_buff *skb, const struct packet *packet,
					  const struct segment *segment, struct passage *passage)
{
	bool sent = passage->sent;

	__builtin_memcpy(passage->key.local, sent ? packet->source : packet->destination,
			 ADDRESS_BYTES);
	__builtin_memcpy(passage->key.remote, sent ? packet->destination : packet->source,
			 ADDRESS_BYTES);
	passage->key.protocol = segment->protocol;
	passage->ifindex = skb->ifindex;
	passage->packets = skb->gso_segs ? skb->gso_segs : 1;
	passage->bytes = skb->len - ETH_HLEN;
	passage->now_ns = bpf_ktime_get_ns();
	passage->tcp_flags = segment->tcp_flags;
	passage->icmp_type = segment->icmp_type;
	passage->icmp_code = segment->icmp_code;
	set_ports(passage, segment);
}
