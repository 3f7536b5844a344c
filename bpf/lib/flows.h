/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Which socket talks to which backend: TCP connections and connected UDP sockets that were made
 * through a service. A row comes with the call to connect and goes with the socket.
 */
#pragma once
#include "../include/layout.h"
#include "reverse_nat.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * Connections of a node's pods to services; the least recently used one yields. A lost row means
 * that its socket is not ended when its backend dies.
 */
#define FLOWS_MAX 131072

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FLOWS_MAX);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* The flow of a socket that is gone, and what its program would have been shown as its peer. */
static __always_inline void forget_flow(__u64 socket_cookie)
{
	struct flow_key key = {.socket_cookie = socket_cookie};
	const struct flow *flow = bpf_map_lookup_elem(&flows, &key);
	struct reverse_nat_key peer = {.socket_cookie = socket_cookie};

	if (!flow)
		return;
	peer.port = flow->port;
	peer.protocol = flow->protocol;
	__builtin_memcpy(peer.address, flow->address, ADDRESS_BYTES);
	bpf_map_delete_elem(&reverse_nat, &peer);
	bpf_map_delete_elem(&flows, &key);
}
