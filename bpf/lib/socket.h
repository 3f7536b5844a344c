/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Load balancing where a program makes a call, so that packets need no translation: the address
 * in connect and sendmsg becomes a backend's, and recvmsg and getpeername show the frontend's.
 *
 * An IPv6 socket that talks IPv4 is seen by the hooks of either family, depending on the call;
 * with one shape for all addresses both find the same rows.
 */
#pragma once
#include "../include/layout.h"
#include "address.h"
#include "affinity.h"
#include "counters.h"
#include "drops.h"
#include "flows.h"
#include "reverse_nat.h"
#include "services.h"
#include <linux/bpf.h>
#include <linux/errno.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

/* Return values of a cgroup program: the system call goes on, or fails. */
#define CALL_PROCEEDS 1
#define CALL_FAILS 0

enum call {
	CALL_CONNECT,
	CALL_SENDMSG,
};

static __always_inline void read_ipv4(struct bpf_sock_addr *ctx, struct service_key *peer)
{
	address_from_ipv4(peer->address, ctx->user_ip4);
	peer->port = ctx->user_port;
	peer->protocol = ctx->protocol;
}

static __always_inline void read_ipv6(struct bpf_sock_addr *ctx, struct service_key *peer)
{
	__be32 words[4];

	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
	__builtin_memcpy(peer->address, words, ADDRESS_BYTES);
	peer->port = ctx->user_port;
	peer->protocol = ctx->protocol;
}

static __always_inline void write_ipv4(struct bpf_sock_addr *ctx, const __u8 *address, __be16 port)
{
	ctx->user_ip4 = ipv4_from_address(address);
	ctx->user_port = port;
}

static __always_inline void write_ipv6(struct bpf_sock_addr *ctx, const __u8 *address, __be16 port)
{
	__be32 words[4];

	__builtin_memcpy(words, address, ADDRESS_BYTES);
	ctx->user_ip6[0] = words[0];
	ctx->user_ip6[1] = words[1];
	ctx->user_ip6[2] = words[2];
	ctx->user_ip6[3] = words[3];
	ctx->user_port = port;
}

static __always_inline bool has_ports(const struct service_key *peer)
{
	return peer->protocol == PROTOCOL_TCP || peer->protocol == PROTOCOL_UDP;
}

/* The caller learns at once that nobody can serve, instead of waiting for a time-out. */
static __always_inline int refuse_call(enum drop_reason reason)
{
	count_drop(reason);
	count_event(COUNTER_SERVICE_REFUSED);
	bpf_set_retval(-ECONNREFUSED);
	return CALL_FAILS;
}

/* As select_backend, but a group whose backends are all down is passed over for the next. */
static __always_inline enum drop_reason select_any_backend(const struct service *service, bool ipv4,
							   __u64 client, struct selection *found)
{
	enum drop_reason reason = select_backend(service, ipv4, client, found);

	if (reason == DROP_NO_BACKEND)
		reason = select_live_backend(service, ipv4, client, found);
	return reason;
}

static __always_inline enum drop_reason find_backend(struct bpf_sock_addr *ctx,
						     const struct service *service, bool ipv4,
						     struct selection *found)
{
	struct selection kept = {};
	enum session_answer session;
	enum drop_reason reason;
	__u64 client;

	if (!service->affinity_timeout_seconds)
		return select_any_backend(service, ipv4, 0, found);
	client = bpf_get_netns_cookie(ctx);
	session = resume_session(service, ipv4, client, &kept);
	reason = DROP_NONE;
	if (session != SESSION_KEPT)
		reason = select_any_backend(service, ipv4, client, found);
	if (session == SESSION_KEPT ||
	    (session == SESSION_YIELDING && (reason || found->yielding))) {
		*found = kept;
		count_event(COUNTER_AFFINITY_KEPT);
		return DROP_NONE;
	}
	if (reason == DROP_NONE)
		begin_session(service, client, found);
	return reason;
}

static __always_inline void begin_flow(struct bpf_sock_addr *ctx, __u32 service_id,
				       const struct selection *selected)
{
	const struct backend *backend = &selected->backend;
	struct flow_key key = {.socket_cookie = bpf_get_socket_cookie(ctx)};
	struct flow flow = {
		.netns_cookie = bpf_get_netns_cookie(ctx),
		.started_ns = bpf_ktime_get_ns(),
		.service_id = service_id,
		.backend_id = selected->backend_id,
		.cluster_id = selected->cluster_id,
		.protocol = backend->protocol,
		.state = backend->protocol == PROTOCOL_TCP ? FLOW_CONNECTING : FLOW_ESTABLISHED,
		.port = backend->port,
	};

	__builtin_memcpy(flow.address, backend->address, ADDRESS_BYTES);
	bpf_map_update_elem(&flows, &key, &flow, BPF_ANY);
}

/* Not inline: what it needs of the stack is free again when backends are searched. */
static __noinline void remember_call(struct bpf_sock_addr *ctx, const struct service_key *frontend,
				     __u32 service_id, const struct selection *selected,
				     enum call call)
{
	remember_frontend(ctx, frontend, &selected->backend);
	if (call == CALL_CONNECT)
		begin_flow(ctx, service_id, selected);
}

/* Returns a verdict; with CALL_PROCEEDS and `found->backend_id` set, `found` replaces the peer. */
static __always_inline int translate_call(struct bpf_sock_addr *ctx, const struct service_key *peer,
					  enum call call, struct selection *found)
{
	const struct service *service;
	enum drop_reason reason;

	if (!has_ports(peer))
		return CALL_PROCEEDS;
	service = bpf_map_lookup_elem(&services, peer);
	if (!service) {
		/* A UDP socket may be connected again, to a backend by its own address. */
		if (call == CALL_CONNECT && peer->protocol == PROTOCOL_UDP) {
			forget_frontend(ctx, peer);
			forget_flow(bpf_get_socket_cookie(ctx));
		}
		return CALL_PROCEEDS;
	}
	reason = find_backend(ctx, service, address_is_ipv4(peer->address), found);
	if (reason != DROP_NONE)
		return refuse_call(reason);
	remember_call(ctx, peer, service->service_id, found, call);
	count_event(COUNTER_SERVICE_TRANSLATED);
	return CALL_PROCEEDS;
}

static __always_inline int call_ipv4(struct bpf_sock_addr *ctx, enum call call)
{
	struct service_key peer = {};
	struct selection found = {};
	int verdict;

	read_ipv4(ctx, &peer);
	verdict = translate_call(ctx, &peer, call, &found);
	if (verdict == CALL_FAILS || !found.backend_id)
		return verdict;
	if (!address_is_ipv4(found.backend.address))
		return refuse_call(DROP_NO_BACKEND);
	write_ipv4(ctx, found.backend.address, found.backend.port);
	return CALL_PROCEEDS;
}

static __always_inline int call_ipv6(struct bpf_sock_addr *ctx, enum call call)
{
	struct service_key peer = {};
	struct selection found = {};
	int verdict;

	read_ipv6(ctx, &peer);
	verdict = translate_call(ctx, &peer, call, &found);
	if (verdict == CALL_FAILS || !found.backend_id)
		return verdict;
	write_ipv6(ctx, found.backend.address, found.backend.port);
	return CALL_PROCEEDS;
}

/*
 * The program has closed its socket. TCP that was connected says itself when it ends, which may be
 * much later; all else ends here.
 */
static __always_inline int release_socket(struct bpf_sock *ctx)
{
	if (ctx->protocol == PROTOCOL_UDP ||
	    (ctx->protocol == PROTOCOL_TCP && ctx->state == BPF_TCP_CLOSE))
		forget_flow(bpf_get_socket_cookie(ctx));
	return CALL_PROCEEDS;
}

static __always_inline int show_frontend_ipv4(struct bpf_sock_addr *ctx)
{
	struct service_key peer = {};
	const struct reverse_nat *frontend;

	read_ipv4(ctx, &peer);
	frontend = recall_frontend(ctx, &peer);
	if (frontend && address_is_ipv4(frontend->address)) {
		write_ipv4(ctx, frontend->address, frontend->port);
		count_event(COUNTER_REPLY_TRANSLATED);
	}
	return CALL_PROCEEDS;
}

static __always_inline int show_frontend_ipv6(struct bpf_sock_addr *ctx)
{
	struct service_key peer = {};
	const struct reverse_nat *frontend;

	read_ipv6(ctx, &peer);
	frontend = recall_frontend(ctx, &peer);
	if (frontend) {
		write_ipv6(ctx, frontend->address, frontend->port);
		count_event(COUNTER_REPLY_TRANSLATED);
	}
	return CALL_PROCEEDS;
}
