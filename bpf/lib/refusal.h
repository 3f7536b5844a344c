/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Turns a packet into the answer of a host that does not want it: TCP reset (RFC 9293 section
 * 3.5.2), or ICMP (RFC 792) and ICMPv6 (RFC 4443) port unreachable for UDP.
 *
 * Checksums. The kernel may still owe the packet its checksum (CHECKSUM_PARTIAL: local senders
 * leave it to the device), and a program cannot see whether it does. Whoever pays writes
 *
 *   ~(sum of everything from the transport header on)   at the old header's checksum field,
 *
 * TCP's at byte 16 and UDP's at byte 6. So that the answer is right either way, this field holds
 * the pseudo header's sum P, which is what would be written there again, and another one makes the
 * whole sum right: TCP's urgent pointer, which has no meaning without URG, or ICMP's own checksum,
 * while byte 6 is in its unused part.
 *
 *   sum of all with P in the field = ~P, as receivers want it; ~(~P) = P.
 */
#pragma once
#include "icmp.h"
#include "packet.h"
#include "transport.h"
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define REFUSAL_TTL 64
#define IPV4_DO_NOT_FRAGMENT 0x4000
/* Of the refused datagram's transport header: what names its socket. */
#define QUOTED_TRANSPORT_BYTES 8

struct unreachable {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u16 unused;
	__u16 balance; /* Unused for the receiver. */
};

struct ipv4_reset {
	struct iphdr ip;
	struct tcphdr tcp;
};

struct ipv6_reset {
	struct ipv6hdr ip;
	struct tcphdr tcp;
};

struct ipv4_unreachable {
	struct iphdr ip;
	struct unreachable icmp;
	__u8 quoted[sizeof(struct iphdr) + QUOTED_TRANSPORT_BYTES];
};

struct ipv6_unreachable {
	struct ipv6hdr ip;
	struct unreachable icmp;
	__u8 quoted[sizeof(struct ipv6hdr) + QUOTED_TRANSPORT_BYTES];
};

struct ipv4_pseudo_header {
	__be32 source;
	__be32 destination;
	__u8 zero;
	__u8 protocol;
	__be16 length;
};

struct ipv6_pseudo_header {
	struct in6_addr source;
	struct in6_addr destination;
	__be32 length;
	__be32 protocol;
};

static __always_inline __u16 fold_sum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* RFC 1071, not inverted. `bytes` are a multiple of four. */
static __always_inline __u16 internet_sum(void *data, __u32 bytes, __u16 before)
{
	return fold_sum(bpf_csum_diff(NULL, 0, data, bytes, before));
}

static __always_inline void answer_ipv4(const struct iphdr *asked, struct iphdr *answer,
					__u8 protocol, __u16 length)
{
	answer->version = 4;
	answer->ihl = sizeof(*answer) / 4;
	answer->tot_len = bpf_htons(length);
	answer->frag_off = bpf_htons(IPV4_DO_NOT_FRAGMENT);
	answer->ttl = REFUSAL_TTL;
	answer->protocol = protocol;
	answer->saddr = asked->daddr;
	answer->daddr = asked->saddr;
	answer->check = ~internet_sum(answer, sizeof(*answer), 0);
}

static __always_inline void answer_ipv6(const struct ipv6hdr *asked, struct ipv6hdr *answer,
					__u8 protocol, __u16 payload_length)
{
	answer->version = 6;
	answer->payload_len = bpf_htons(payload_length);
	answer->nexthdr = protocol;
	answer->hop_limit = REFUSAL_TTL;
	answer->saddr = asked->daddr;
	answer->daddr = asked->saddr;
}

static __always_inline __u16 sum_ipv4_pseudo_header(const struct iphdr *ip, __u16 length)
{
	struct ipv4_pseudo_header header = {
		.source = ip->saddr,
		.destination = ip->daddr,
		.protocol = ip->protocol,
		.length = bpf_htons(length),
	};

	return internet_sum(&header, sizeof(header), 0);
}

static __always_inline __u16 sum_ipv6_pseudo_header(const struct ipv6hdr *ip, __u16 length)
{
	struct ipv6_pseudo_header header = {
		.source = ip->saddr,
		.destination = ip->daddr,
		.length = bpf_htonl(length),
		.protocol = bpf_htonl(ip->nexthdr),
	};

	return internet_sum(&header, sizeof(header), 0);
}

/* The reset that the segment's sender will believe; false for a reset, which nobody answers. */
static __always_inline bool answer_segment(struct __sk_buff *skb, const struct transport *transport,
					   struct tcphdr *answer)
{
	struct tcphdr asked;

	if (bpf_skb_load_bytes(skb, transport->offset, &asked, sizeof(asked)) || asked.rst)
		return false;
	answer->source = asked.dest;
	answer->dest = asked.source;
	answer->doff = sizeof(*answer) / 4;
	answer->rst = 1;
	if (asked.ack) {
		answer->seq = asked.ack_seq;
	} else {
		answer->ack = 1;
		answer->ack_seq = bpf_htonl(bpf_ntohl(asked.seq) + transport->length -
					    asked.doff * 4 + asked.syn + asked.fin);
	}
	return true;
}

static __always_inline void seal_segment(struct tcphdr *tcp, __u16 pseudo_header)
{
	tcp->check = pseudo_header;
	tcp->urg_ptr = ~internet_sum(tcp, sizeof(*tcp), pseudo_header);
}

/* The frame with its addresses exchanged and `answer` behind its Ethernet header. */
static __always_inline bool replace_packet(struct __sk_buff *skb, const void *answer, __u32 bytes)
{
	__u8 addresses[2 * ETH_ALEN], exchanged[2 * ETH_ALEN];

	if (bpf_skb_change_tail(skb, ETH_HLEN + bytes, 0) ||
	    bpf_skb_load_bytes(skb, 0, addresses, sizeof(addresses)))
		return false;
	__builtin_memcpy(exchanged, addresses + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(exchanged + ETH_ALEN, addresses, ETH_ALEN);
	return !bpf_skb_store_bytes(skb, 0, exchanged, sizeof(exchanged), 0) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, answer, bytes, 0);
}

static __always_inline bool refuse_ipv4_segment(struct __sk_buff *skb, const struct iphdr *asked,
						const struct transport *transport)
{
	struct ipv4_reset answer = {};

	if (!answer_segment(skb, transport, &answer.tcp))
		return false;
	answer_ipv4(asked, &answer.ip, IPPROTO_TCP, sizeof(answer));
	seal_segment(&answer.tcp, sum_ipv4_pseudo_header(&answer.ip, sizeof(answer.tcp)));
	return replace_packet(skb, &answer, sizeof(answer));
}

static __always_inline bool refuse_ipv6_segment(struct __sk_buff *skb, const struct ipv6hdr *asked,
						const struct transport *transport)
{
	struct ipv6_reset answer = {};

	if (!answer_segment(skb, transport, &answer.tcp))
		return false;
	answer_ipv6(asked, &answer.ip, IPPROTO_TCP, sizeof(answer.tcp));
	seal_segment(&answer.tcp, sum_ipv6_pseudo_header(&answer.ip, sizeof(answer.tcp)));
	return replace_packet(skb, &answer, sizeof(answer));
}

static __always_inline bool refuse_ipv4_datagram(struct __sk_buff *skb, const struct iphdr *asked)
{
	struct ipv4_unreachable answer = {
		.icmp = {.type = ICMPV4_UNREACHABLE, .code = ICMPV4_PORT},
	};

	if (bpf_skb_load_bytes(skb, ETH_HLEN, answer.quoted, sizeof(answer.quoted)))
		return false;
	answer_ipv4(asked, &answer.ip, IPPROTO_ICMP, sizeof(answer));
	/* ICMP for IPv4 has no pseudo header: nothing to balance. */
	answer.icmp.checksum = ~internet_sum(&answer.icmp, sizeof(answer) - sizeof(answer.ip), 0);
	return replace_packet(skb, &answer, sizeof(answer));
}

static __always_inline bool refuse_ipv6_datagram(struct __sk_buff *skb, const struct ipv6hdr *asked)
{
	struct ipv6_unreachable answer = {
		.icmp = {.type = ICMPV6_UNREACHABLE, .code = ICMPV6_PORT},
	};
	const __u32 length = sizeof(answer) - sizeof(answer.ip);
	__u16 pseudo_header;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, answer.quoted, sizeof(answer.quoted)))
		return false;
	answer_ipv6(asked, &answer.ip, IPPROTO_ICMPV6, length);
	pseudo_header = sum_ipv6_pseudo_header(&answer.ip, length);
	answer.icmp.balance = pseudo_header;
	answer.icmp.checksum = ~internet_sum(&answer.icmp, length, pseudo_header);
	return replace_packet(skb, &answer, sizeof(answer));
}

/*
 * The packet becomes its own refusal, to be sent to where it came from. False for what nobody
 * answers: fragments, other protocols, packets with IP options. Ends all pointers into the packet.
 */
static __noinline bool turn_into_refusal(struct __sk_buff *skb, const struct packet *packet)
{
	struct transport transport = {};
	const struct ipv6hdr *ipv6 = packet->ipv6;
	const struct iphdr *ipv4 = packet->ipv4;

	read_transport(packet, &transport);
	if (!transport.plain)
		return false;
	if (transport.protocol == IPPROTO_TCP && ipv4)
		return refuse_ipv4_segment(skb, ipv4, &transport);
	if (transport.protocol == IPPROTO_TCP && ipv6)
		return refuse_ipv6_segment(skb, ipv6, &transport);
	if (transport.protocol == IPPROTO_UDP && ipv4)
		return refuse_ipv4_datagram(skb, ipv4);
	if (transport.protocol == IPPROTO_UDP && ipv6)
		return refuse_ipv6_datagram(skb, ipv6);
	return false;
}
