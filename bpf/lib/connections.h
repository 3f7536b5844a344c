/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * What becomes of TCP connections to backends. The kernel tells of each connect; more is asked for
 * only of sockets that have a flow, so all others cost one look-up in their life.
 *
 *   connect ─► SYN_SENT ─► ESTABLISHED ─► FIN states ─► CLOSE
 *                 │             └─► CLOSE: aborted (reset, time-out, destroyed)
 *                 └─► CLOSE: failed
 */
#pragma once
#include "../include/layout.h"
#include "evidence.h"
#include "flows.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static __always_inline struct flow *find_flow(struct bpf_sock_ops *ctx)
{
	struct flow_key key = {.socket_cookie = bpf_get_socket_cookie(ctx)};

	return bpf_map_lookup_elem(&flows, &key);
}

static __always_inline void begin_connection(struct bpf_sock_ops *ctx)
{
	const struct flow *flow = find_flow(ctx);
	struct cluster_evidence *cluster;

	if (!flow)
		return;
	cluster = find_cluster_evidence(flow->cluster_id);
	if (cluster)
		__sync_fetch_and_add(&cluster->connects, 1);
	bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG);
}

/* A retransmission time-out sends a segment again, which is told by itself: no need of RTO_CB. */
static __always_inline void note_retransmission(struct bpf_sock_ops *ctx)
{
	const struct flow *flow = find_flow(ctx);
	struct cluster_evidence *cluster;

	if (!flow)
		return;
	cluster = find_cluster_evidence(flow->cluster_id);
	if (cluster)
		__sync_fetch_and_add(&cluster->retransmissions, 1);
	note_backend_retransmission(flow->backend_id);
}

static __always_inline void change_state(struct bpf_sock_ops *ctx, __u32 from, __u32 to)
{
	struct flow *flow = find_flow(ctx);
	struct cluster_evidence *cluster;

	if (!flow)
		return;
	cluster = find_cluster_evidence(flow->cluster_id);
	if (!cluster)
		return;
	if (to == BPF_TCP_ESTABLISHED) {
		flow->state = FLOW_ESTABLISHED;
		__sync_fetch_and_add(&cluster->established, 1);
		note_backend_success(flow->backend_id);
	} else if (to == BPF_TCP_CLOSE && from == BPF_TCP_SYN_SENT) {
		__sync_fetch_and_add(&cluster->failed, 1);
		note_backend_failure(flow->backend_id);
	} else if (to == BPF_TCP_CLOSE && from == BPF_TCP_ESTABLISHED) {
		__sync_fetch_and_add(&cluster->aborted, 1);
	}
	if (to == BPF_TCP_CLOSE)
		forget_flow(bpf_get_socket_cookie(ctx));
}

/* Always 1: nothing that is said of a connection changes it. */
static __always_inline int follow_connection(struct bpf_sock_ops *ctx)
{
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		begin_connection(ctx);
		break;
	case BPF_SOCK_OPS_RETRANS_CB:
		note_retransmission(ctx);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		change_state(ctx, ctx->args[0], ctx->args[1]);
		break;
	}
	return 1;
}
