/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The pods of this node, and delivery to them. */
#pragma once
#include "../include/layout.h"
#include "identity.h"
#include "packet.h"
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

/* A node of 500 pods in two families, with room for nodes ten times as dense. */
#define ENDPOINTS_MAX 16384

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ENDPOINTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct endpoint_key);
	__type(value, struct endpoint);
} endpoints SEC(".maps");

static __always_inline const struct endpoint *find_endpoint(const __u8 *address)
{
	struct endpoint_key key;

	__builtin_memcpy(key.address, address, ADDRESS_BYTES);
	return bpf_map_lookup_elem(&endpoints, &key);
}

/* Sends the packet out of the host side of the pod's veth pair; to_pod finds there who sent it. */
static __always_inline int deliver_to_endpoint(struct __sk_buff *skb, const struct packet *packet,
					       const struct endpoint *endpoint, __u32 identity)
{
	__builtin_memcpy(packet->ethernet->h_dest, endpoint->pod_mac, ETH_ALEN);
	__builtin_memcpy(packet->ethernet->h_source, endpoint->host_mac, ETH_ALEN);
	skb->mark = MARK_IDENTITY | identity;
	return bpf_redirect(endpoint->ifindex, 0);
}
