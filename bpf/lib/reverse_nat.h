/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What a program asked for, so that it never sees a backend: recvmsg and getpeername give the
 * frontend's address back. Keyed by socket, thus two sockets may reach one backend through two
 * services. Rows of connected sockets go with their flow (flows.h); others when they are the
 * oldest.
 */
#pragma once
#include "../include/layout.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * Sockets that called a service: one row a TCP connection or UDP peer of the node's pods, least
 * recently used first out. A lost row shows the backend's address and breaks nothing else.
 */
#define REVERSE_NAT_MAX 131072

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REVERSE_NAT_MAX);
	__type(key, struct reverse_nat_key);
	__type(value, struct reverse_nat);
} reverse_nat SEC(".maps");

static __always_inline void remember_frontend(struct bpf_sock_addr *ctx,
					      const struct service_key *frontend,
					      const struct backend *backend)
{
	struct reverse_nat_key key = {
		.socket_cookie = bpf_get_socket_cookie(ctx),
		.port = backend->port,
		.protocol = frontend->protocol,
	};
	struct reverse_nat value = {.port = frontend->port};

	__builtin_memcpy(key.address, backend->address, ADDRESS_BYTES);
	__builtin_memcpy(value.address, frontend->address, ADDRESS_BYTES);
	bpf_map_update_elem(&reverse_nat, &key, &value, BPF_ANY);
}

/* `peer` is the address that the kernel would show: of a backend, or of anybody else. */
static __always_inline const struct reverse_nat *recall_frontend(struct bpf_sock_addr *ctx,
								 const struct service_key *peer)
{
	struct reverse_nat_key key = {
		.socket_cookie = bpf_get_socket_cookie(ctx),
		.port = peer->port,
		.protocol = peer->protocol,
	};

	__builtin_memcpy(key.address, peer->address, ADDRESS_BYTES);
	return bpf_map_lookup_elem(&reverse_nat, &key);
}

/* The socket now calls `peer` by its own address. */
static __always_inline void forget_frontend(struct bpf_sock_addr *ctx,
					    const struct service_key *peer)
{
	struct reverse_nat_key key = {
		.socket_cookie = bpf_get_socket_cookie(ctx),
		.port = peer->port,
		.protocol = peer->protocol,
	};

	__builtin_memcpy(key.address, peer->address, ADDRESS_BYTES);
	bpf_map_delete_elem(&reverse_nat, &key);
}
