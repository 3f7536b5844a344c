/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The cgroup hook that follows TCP connections; the logic is in lib/connections.h. */
#include "../lib/connections.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("sockops")
int tcp_events(struct bpf_sock_ops *ctx)
{
	return follow_connection(ctx);
}

/* The kernel knows no "Apache-2.0 OR GPL-2.0-only"; of the two it needs to hear the second. */
char LICENSE[] SEC("license") = "GPL";
