/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The cgroup hooks of socket load balancing; the logic is in lib/socket.h. */
#include "../lib/socket.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return call_ipv4(ctx, CALL_CONNECT);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return call_ipv6(ctx, CALL_CONNECT);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return call_ipv4(ctx, CALL_SENDMSG);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return call_ipv6(ctx, CALL_SENDMSG);
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	return show_frontend_ipv4(ctx);
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	return show_frontend_ipv6(ctx);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	return show_frontend_ipv4(ctx);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	return show_frontend_ipv6(ctx);
}

SEC("cgroup/sock_release")
int sock_release(struct bpf_sock *ctx)
{
	return release_socket(ctx);
}

/* The kernel knows no "Apache-2.0 OR GPL-2.0-only"; of the two it needs to hear the second. */
char LICENSE[] SEC("license") = "GPL";
