/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * The one shape of an address: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d
 * (RFC 4291 section 2.5.5.2).
 *
 *   bytes  0 .. 9   10 11    12 .. 15
 *        +--------+-------+-----------+
 *        |  zero  | ff ff |  a b c d  |
 *        +--------+-------+-----------+
 */
#pragma once
#include "../include/layout.h"
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IPV4_OFFSET 12
#define IPV4_MAPPED_BITS 96

/* Between layouts of ours, where addresses begin at multiples of four. */
static __always_inline void copy_address(__u8 *to, const __u8 *from)
{
	__builtin_memcpy(__builtin_assume_aligned(to, 4), __builtin_assume_aligned(from, 4),
			 ADDRESS_BYTES);
}

static __always_inline void address_from_ipv4(__u8 *address, __be32 ipv4)
{
	__builtin_memset(address, 0, 10);
	address[10] = 0xff;
	address[11] = 0xff;
	__builtin_memcpy(address + IPV4_OFFSET, &ipv4, sizeof(ipv4));
}

static __always_inline __be32 ipv4_from_address(const __u8 *address)
{
	__be32 ipv4;

	__builtin_memcpy(&ipv4, address + IPV4_OFFSET, sizeof(ipv4));
	return ipv4;
}

static __always_inline bool address_is_ipv4(const __u8 *address)
{
	__be32 words[3];

	__builtin_memcpy(words, address, sizeof(words));
	return words[0] == 0 && words[1] == 0 && words[2] == bpf_htonl(0xffff);
}

static __always_inline bool address_is_zero(const __u8 *address)
{
	__u32 words[4];

	__builtin_memcpy(words, address, sizeof(words));
	return (words[0] | words[1] | words[2] | words[3]) == 0;
}

static __always_inline bool addresses_are_equal(const __u8 *one, const __u8 *other)
{
	__u64 ones[2], others[2];

	__builtin_memcpy(ones, one, sizeof(ones));
	__builtin_memcpy(others, other, sizeof(others));
	return ones[0] == others[0] && ones[1] == others[1];
}
