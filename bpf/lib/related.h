/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * ICMP errors that quote a packet of a connection are part of it, whoever sends them: a router on
 * the way, or the other end.
 *
 *   +--------+-------------+-----------+------------------------+
 *   | IP     | type, code, | quoted IP | 8 bytes of its TCP,    |
 *   | header | checksum: 8 | header    | UDP, SCTP, ICMP header |
 *   +--------+-------------+-----------+------------------------+
 */
#pragma once
#include "../include/layout.h"
#include "../include/policy.h"
#include "packet.h"
#include "passage.h"
#include "segment.h"
#include "tracking.h"
#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* Who receives the error has sent the quoted packet. */
static __always_inline void set_quoted_ends(struct connection_key *key, const __u8 *source,
					    const __u8 *destination, bool sent)
{
	__builtin_memcpy(key->local, sent ? destination : source, ADDRESS_BYTES);
	__builtin_memcpy(key->remote, sent ? source : destination, ADDRESS_BYTES);
}

static __noinline bool quote_ipv4(struct __sk_buff *skb, struct segment *quoted,
				  struct connection_key *key, bool sent)
{
	__u8 source[ADDRESS_BYTES], destination[ADDRESS_BYTES];
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, quoted->offset, &ip, sizeof(ip)) || ip.version != 4 ||
	    ip.ihl * 4 < sizeof(ip) || ip.frag_off & bpf_htons(IPV4_OFFSET_MASK))
		return false;
	address_from_ipv4(source, ip.saddr);
	address_from_ipv4(destination, ip.daddr);
	set_quoted_ends(key, source, destination, sent);
	quoted->offset += ip.ihl * 4;
	quoted->protocol = ip.protocol;
	return true;
}

static __noinline bool quote_ipv6(struct __sk_buff *skb, struct segment *quoted,
				  struct connection_key *key, bool sent)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, quoted->offset, &ip, sizeof(ip)) || ip.version != 6)
		return false;
	set_quoted_ends(key, (const __u8 *)&ip.saddr, (const __u8 *)&ip.daddr, sent);
	quoted->offset += sizeof(ip);
	quoted->protocol = ip.nexthdr;
	return walk_extensions(skb, quoted) == DROP_NONE && quoted->place != FRAGMENT_LATER;
}

/* The passage of the quoted packet's connection, if the error quotes one that can be read. */
static __noinline bool read_quoted(struct __sk_buff *skb, const struct segment *error,
				   struct passage *passage)
{
	struct segment quoted = {
		.offset = error->offset + ICMP_BYTES,
		.end = error->end,
		.ipv4 = error->ipv4,
		.quoted = true,
	};
	bool sent = passage->sent;

	__builtin_memset(&passage->key, 0, sizeof(passage->key));
	if (!(error->ipv4 ? quote_ipv4(skb, &quoted, &passage->key, sent)
			  : quote_ipv6(skb, &quoted, &passage->key, sent)) ||
	    read_header(skb, &quoted) != DROP_NONE)
		return false;
	passage->key.protocol = quoted.protocol;
	/* It went the other way. */
	passage->key.local_port = sent ? quoted.destination_port : quoted.source_port;
	passage->key.remote_port = sent ? quoted.source_port : quoted.destination_port;
	return true;
}
