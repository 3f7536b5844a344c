/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Whose an address is, for policy. */
#pragma once
#include "../include/layout.h"
#include "address.h"
#include "endpoints.h"
#include "identity.h"
#include "ipcache.h"
#include "policies.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* `entry` is the address's row, if it has one. */
static __always_inline __u32 identity_of(const struct ipcache_entry *entry, const __u8 *address)
{
	const struct policy_state *state;
	const struct endpoint *endpoint;

	if (entry)
		return entry->identity;
	endpoint = find_endpoint(address);
	if (endpoint) {
		state = find_policy_state(endpoint->ifindex);
		return state ? state->identity : IDENTITY_INIT;
	}
	return address_is_ipv4(address) ? IDENTITY_WORLD_IPV4 : IDENTITY_WORLD_IPV6;
}

/* What from_overlay has written there, or 0. Nobody behind us shall take it for something else. */
static __always_inline __u32 take_mark(struct __sk_buff *skb)
{
	__u32 mark = skb->mark;

	if ((mark & MARK_IDENTITY_MASK) != MARK_IDENTITY)
		return 0;
	skb->mark = 0;
	return mark;
}

static __always_inline __u32 identity_of_sender(__u32 mark, const __u8 *source)
{
	return mark ? mark & ~MARK_IDENTITY_MASK : identity_of(find_ipcache_entry(source), source);
}
