/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What stands behind a packet's IP header, whatever stands in between: IPv6 extension headers, and
 * of fragments what the first one has told. transport.h is the quick look, for plain packets.
 */
#pragma once
#include "../include/drop.h"
#include "../include/layout.h"
#include "../include/policy.h"
#include "icmp.h"
#include "packet.h"
#include "transport.h"
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Every kind that RFC 8200 recommends, some twice. */
#define EXTENSION_HEADERS_MAX 8
#define EXTENSION_ROUTING 43
#define EXTENSION_FRAGMENT 44
#define EXTENSION_AUTHENTICATION 51
#define EXTENSION_DESTINATION 60
#define IPV4_OFFSET_MASK 0x1fff
#define IPV6_MORE_FRAGMENTS 1
#define IPV6_OFFSET_MASK 0xfff8

/* RFC 9293: up to the flags. RFC 768. RFC 9260: the common header. RFC 792 and RFC 4443. */
#define TCP_BYTES 20
#define TCP_FLAGS_OFFSET 13
#define UDP_BYTES 8
#define SCTP_BYTES 12
#define ICMP_BYTES 8
/* What an ICMP error quotes of a packet's transport header, at least. */
#define QUOTED_BYTES 8

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* In the place of a port that an ICMP message does not have. */
#define NO_PORT 0xffff

enum fragment_place {
	FRAGMENT_NONE,
	FRAGMENT_FIRST,
	FRAGMENT_LATER,
};

struct segment {
	__u32 offset; /* Of the transport header, from the start of the frame. */
	__u32 end;    /* Of the packet: what lies behind is padding. */
	__be32 identification;
	__be16 source_port; /* As in struct connection_key, with the packet's sender as source. */
	__be16 destination_port;
	__u8 protocol;
	__u8 place; /* enum fragment_place */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	bool ipv4;
	bool quoted; /* An ICMP error carries it, and only its beginning. */
};

/* RFC 8200: the part that all extension headers begin with; RFC 4302 counts in other units. */
struct extension {
	__u8 next;
	__u8 length;
	__u8 type;	    /* Of a routing header, */
	__u8 segments_left; /* as is this. */
};

struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 identification;
};

/*
 * Behind all that is no transport header. This one and read_header are not static: the verifier
 * then takes each by itself, once.
 */
__noinline int walk_extensions(struct __sk_buff *skb, struct segment *segment)
{
	if (!segment)
		return DROP_MALFORMED;
	for (int i = 0; i < EXTENSION_HEADERS_MAX; i++) {
		struct fragment_header fragment;
		struct extension extension;
		__u8 kind = segment->protocol;

		if (kind == EXTENSION_FRAGMENT) {
			if (bpf_skb_load_bytes(skb, segment->offset, &fragment, sizeof(fragment)))
				return DROP_MALFORMED;
			segment->protocol = fragment.next;
			segment->offset += sizeof(fragment);
			segment->identification = fragment.identification;
			if (fragment.offset & bpf_htons(IPV6_OFFSET_MASK)) {
				segment->place = FRAGMENT_LATER;
				return DROP_NONE; /* What follows is the middle of something. */
			}
			if (fragment.offset & bpf_htons(IPV6_MORE_FRAGMENTS))
				segment->place = FRAGMENT_FIRST;
			continue;
		}
		if (kind != 0 && kind != EXTENSION_ROUTING && kind != EXTENSION_AUTHENTICATION &&
		    kind != EXTENSION_DESTINATION)
			return DROP_NONE;
		if (bpf_skb_load_bytes(skb, segment->offset, &extension, sizeof(extension)))
			return DROP_MALFORMED;
		/* It would go on from its destination, to where no policy has looked. */
		if (kind == EXTENSION_ROUTING && extension.segments_left)
			return DROP_HEADER_CHAIN;
		segment->protocol = extension.next;
		segment->offset += kind == EXTENSION_AUTHENTICATION ? (extension.length + 2) * 4
								    : (extension.length + 1) * 8;
	}
	return DROP_HEADER_CHAIN;
}

static __always_inline bool is_icmp(const struct segment *segment)
{
	return segment->protocol == (segment->ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static __always_inline __u8 echo_request_type(const struct segment *segment)
{
	return segment->ipv4 ? ICMPV4_ECHO_REQUEST : ICMPV6_ECHO_REQUEST;
}

static __always_inline bool is_echo_reply(const struct segment *segment)
{
	return is_icmp(segment) &&
	       segment->icmp_type == (segment->ipv4 ? ICMPV4_ECHO_REPLY : ICMPV6_ECHO_REPLY);
}

/* Neighbour discovery and multicast listener discovery: without them there is no IPv6. */
static __always_inline bool is_discovery(const struct segment *segment)
{
	if (segment->ipv4 || !is_icmp(segment) || segment->place != FRAGMENT_NONE)
		return false;
	return (segment->icmp_type >= ICMPV6_LISTENER_FIRST &&
		segment->icmp_type <= ICMPV6_DISCOVERY_LAST) ||
	       segment->icmp_type == ICMPV6_LISTENER_REPORT;
}

/* Messages about another packet, which they quote. */
static __always_inline bool is_icmp_error(const struct segment *segment)
{
	if (!is_icmp(segment))
		return false;
	if (!segment->ipv4)
		return segment->icmp_type >= ICMPV6_UNREACHABLE &&
		       segment->icmp_type <= ICMPV6_PARAMETER_PROBLEM;
	return segment->icmp_type == ICMPV4_UNREACHABLE ||
	       segment->icmp_type == ICMPV4_SOURCE_QUENCH ||
	       segment->icmp_type == ICMPV4_TIME_EXCEEDED ||
	       segment->icmp_type == ICMPV4_PARAMETER_PROBLEM;
}

/* No message is a reply to one with these ports. */
static __always_inline void take_as_single_message(struct segment *segment)
{
	segment->source_port = bpf_htons(NO_PORT);
	segment->destination_port = bpf_htons(segment->icmp_type);
}

static __always_inline void read_icmp(struct segment *segment, const __u8 *header)
{
	__be16 identifier;

	__builtin_memcpy(&identifier, header + 4, sizeof(identifier));
	segment->icmp_type = header[0];
	segment->icmp_code = header[1];
	if (segment->icmp_type == echo_request_type(segment)) {
		segment->source_port = identifier;
		segment->destination_port = bpf_htons(segment->icmp_type);
	} else if (is_echo_reply(segment)) {
		segment->source_port = bpf_htons(echo_request_type(segment));
		segment->destination_port = identifier;
	} else {
		take_as_single_message(segment);
	}
}

static __always_inline void read_port_pair(struct segment *segment, const __u8 *header)
{
	__builtin_memcpy(&segment->source_port, header, sizeof(__be16));
	__builtin_memcpy(&segment->destination_port, header + 2, sizeof(__be16));
}

/* How much of its header the packet must have; 0: nothing is read of this protocol. */
static __always_inline __u32 header_bytes(const struct segment *segment)
{
	switch (segment->protocol) {
	case IPPROTO_TCP:
		return segment->quoted ? QUOTED_BYTES : TCP_BYTES;
	case IPPROTO_SCTP:
		return segment->quoted ? QUOTED_BYTES : SCTP_BYTES;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return UDP_BYTES;
	}
	return is_icmp(segment) ? ICMP_BYTES : 0;
}

/*
 * Ports, flags and types, from the header that `offset` points at. A first fragment that does not
 * have its whole header is not served.
 */
__noinline int read_header(struct __sk_buff *skb, struct segment *segment)
{
	__u8 header[TCP_FLAGS_OFFSET + 1];
	__u32 wanted;

	if (!segment)
		return DROP_MALFORMED;
	wanted = header_bytes(segment);
	if (!wanted)
		return DROP_NONE;
	if (segment->offset + wanted > segment->end)
		return DROP_MALFORMED;
	if (segment->protocol == IPPROTO_TCP && !segment->quoted) {
		if (bpf_skb_load_bytes(skb, segment->offset, header, sizeof(header)))
			return DROP_MALFORMED;
		segment->tcp_flags = header[TCP_FLAGS_OFFSET];
	} else if (bpf_skb_load_bytes(skb, segment->offset, header, QUOTED_BYTES)) {
		return DROP_MALFORMED;
	}
	if (is_icmp(segment))
		read_icmp(segment, header);
	else
		read_port_pair(segment, header);
	return DROP_NONE;
}

/* The packet must be IP. DROP_NONE, or why nothing can be said of it. */
static __always_inline enum drop_reason
read_segment(struct __sk_buff *skb, const struct packet *packet, struct segment *segment)
{
	enum drop_reason reason = DROP_NONE;

	segment->end = skb->len;
	if (packet->ipv4) {
		const struct iphdr *ip = packet->ipv4;
		__u32 length = bpf_ntohs(ip->tot_len);

		segment->ipv4 = true;
		segment->offset = ETH_HLEN + ip->ihl * 4;
		segment->protocol = ip->protocol;
		segment->identification = bpf_htonl(bpf_ntohs(ip->id));
		if (ip->frag_off & bpf_htons(IPV4_OFFSET_MASK))
			segment->place = FRAGMENT_LATER;
		else if (ip->frag_off & bpf_htons(IPV4_FRAGMENT_MASK))
			segment->place = FRAGMENT_FIRST;
		if (!skb->gso_size)
			segment->end = ETH_HLEN + length;
	} else if (packet->ipv6) {
		const struct ipv6hdr *ip = packet->ipv6;

		segment->offset = ETH_HLEN + sizeof(*ip);
		segment->protocol = ip->nexthdr;
		if (!skb->gso_size)
			segment->end = segment->offset + bpf_ntohs(ip->payload_len);
		reason = walk_extensions(skb, segment);
		/* What means IPv4 to us means nothing on the wire (RFC 4291 section 2.5.5.2). */
		if (address_is_ipv4(packet->source) || address_is_ipv4(packet->destination))
			reason = DROP_MALFORMED;
	}
	if (reason == DROP_NONE && segment->place != FRAGMENT_LATER)
		reason = read_header(skb, segment);
	return reason;
}
