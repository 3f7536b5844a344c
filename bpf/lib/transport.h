/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What stands behind a packet's IP header, read only where a program has a reason to. */
#pragma once
#include "../include/layout.h"
#include "packet.h"
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Fragment offset, and "more fragments" (RFC 791). */
#define IPV4_FRAGMENT_MASK 0x3fff

struct transport {
	__u32 offset; /* Of the header, from the start of the frame. */
	__u32 length; /* Header and payload, as IP says; of no use for a segmented packet. */
	__u8 protocol;
	bool plain; /* The header stands there: no fragment, no IP options or extension headers. */
};

/* The packet must be IP. */
static __always_inline void read_transport(const struct packet *packet, struct transport *transport)
{
	const struct ipv6hdr *ipv6 = packet->ipv6;
	const struct iphdr *ipv4 = packet->ipv4;

	if (ipv4) {
		transport->offset = ETH_HLEN + ipv4->ihl * 4;
		transport->length = bpf_ntohs(ipv4->tot_len) - ipv4->ihl * 4;
		transport->protocol = ipv4->protocol;
		transport->plain = ipv4->ihl * 4 == sizeof(*ipv4) &&
				   !(ipv4->frag_off & bpf_htons(IPV4_FRAGMENT_MASK));
	} else if (ipv6) {
		transport->offset = ETH_HLEN + sizeof(*ipv6);
		transport->length = bpf_ntohs(ipv6->payload_len);
		transport->protocol = ipv6->nexthdr;
		transport->plain = true; /* The protocol says whether an extension follows. */
	}
}
