/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Reading packets with a cursor. Each parse_ function checks the bounds of its header, moves the
 * cursor behind it and returns it, or NULL; nobody else compares pointers with data_end. Header
 * fields are in network order.
 */
#pragma once
#include "../include/layout.h"
#include "address.h"
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Ethernet and the larger of the two IP headers that are looked at. */
#define HEADERS_MAX (ETH_HLEN + sizeof(struct ipv6hdr))

struct cursor {
	void *position;
	void *end;
};

/* What the programs want to know of a packet. Pointers into it end with the next helper call. */
struct packet {
	struct ethhdr *ethernet;
	struct iphdr *ipv4;   /* One of these two is set, */
	struct ipv6hdr *ipv6; /* or neither if it is not IP. */
	__u8 source[ADDRESS_BYTES];
	__u8 destination[ADDRESS_BYTES];
	__u8 hop_limit;
};

static __always_inline struct cursor cursor_from_skb(struct __sk_buff *skb)
{
	struct cursor cursor = {
		.position = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
	};

	return cursor;
}

static __always_inline struct ethhdr *parse_ethernet(struct cursor *cursor)
{
	struct ethhdr *ethernet = cursor->position;

	if ((void *)(ethernet + 1) > cursor->end)
		return NULL;
	cursor->position = ethernet + 1;
	return ethernet;
}

/*
 * `length` is what follows the Ethernet header. A packet that the kernel will still cut into
 * segments (`segmented`) may be longer than its length field can say.
 */
static __always_inline struct iphdr *parse_ipv4(struct cursor *cursor, __u32 length, bool segmented)
{
	struct iphdr *ipv4 = cursor->position;
	__u32 header_length, total_length;

	if ((void *)(ipv4 + 1) > cursor->end)
		return NULL;
	header_length = ipv4->ihl * 4;
	total_length = bpf_ntohs(ipv4->tot_len);
	if (ipv4->version != 4 || header_length < sizeof(*ipv4) || header_length > length)
		return NULL;
	if (!segmented && (total_length < header_length || total_length > length))
		return NULL;
	cursor->position = ipv4 + 1;
	return ipv4;
}

static __always_inline struct ipv6hdr *parse_ipv6(struct cursor *cursor, __u32 length,
						  bool segmented)
{
	struct ipv6hdr *ipv6 = cursor->position;

	if ((void *)(ipv6 + 1) > cursor->end)
		return NULL;
	if (ipv6->version != 6)
		return NULL;
	if (!segmented && sizeof(*ipv6) + bpf_ntohs(ipv6->payload_len) > length)
		return NULL;
	cursor->position = ipv6 + 1;
	return ipv6;
}

/* False for a packet whose headers do not fit into it. */
static __always_inline bool parse_packet(struct __sk_buff *skb, struct packet *packet)
{
	__u32 wanted = skb->len < HEADERS_MAX ? skb->len : HEADERS_MAX;
	bool segmented = skb->gso_size != 0;
	struct cursor cursor;
	__u32 length;

	/* The kernel may hold the headers outside the part that programs can reach. */
	if (skb->data_end - skb->data < wanted && bpf_skb_pull_data(skb, wanted))
		return false;
	cursor = cursor_from_skb(skb);
	packet->ethernet = parse_ethernet(&cursor);
	if (!packet->ethernet)
		return false;
	length = skb->len - ETH_HLEN;
	switch (packet->ethernet->h_proto) {
	case bpf_htons(ETH_P_IP):
		packet->ipv4 = parse_ipv4(&cursor, length, segmented);
		if (!packet->ipv4)
			return false;
		address_from_ipv4(packet->source, packet->ipv4->saddr);
		address_from_ipv4(packet->destination, packet->ipv4->daddr);
		packet->hop_limit = packet->ipv4->ttl;
		return true;
	case bpf_htons(ETH_P_IPV6):
		packet->ipv6 = parse_ipv6(&cursor, length, segmented);
		if (!packet->ipv6)
			return false;
		__builtin_memcpy(packet->source, &packet->ipv6->saddr, ADDRESS_BYTES);
		__builtin_memcpy(packet->destination, &packet->ipv6->daddr, ADDRESS_BYTES);
		packet->hop_limit = packet->ipv6->hop_limit;
		return true;
	default:
		return true;
	}
}

static __always_inline bool packet_is_ip(const struct packet *packet)
{
	return packet->ipv4 || packet->ipv6;
}

/* Link-local and multicast IPv6, and multicast and broadcast IPv4, stay on their link. */
static __always_inline bool stays_on_link(const __u8 *destination)
{
	if (address_is_ipv4(destination))
		return destination[IPV4_OFFSET] >= 224;
	return destination[0] == 0xff ||
	       (destination[0] == 0xfe && (destination[1] & 0xc0) == 0x80);
}

/*
 * RFC 1624 equation 3: HC' = ~(~HC + ~m + m'), in ones' complement, for the 16-bit word that the
 * time to live shares with the protocol:
 *
 *   +--------+----------+
 *   |  TTL   | protocol |   m' = m - 0x0100
 *   +--------+----------+
 */
static __always_inline void decrement_hop_limit(const struct packet *packet)
{
	if (packet->ipv4) {
		struct iphdr *ipv4 = packet->ipv4;
		__u32 before = ipv4->ttl << 8 | ipv4->protocol;
		__u32 after = before - 0x0100;
		__u32 sum = (__u16)~bpf_ntohs(ipv4->check) + (__u16)~before + after;

		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		ipv4->check = bpf_htons(~sum);
		ipv4->ttl--;
	} else if (packet->ipv6) {
		packet->ipv6->hop_limit--;
	}
}
