/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* tc ingress at the host side of each pod's veth pair; the logic is in lib/pod.h. */
#include "../lib/pod.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	return handle_from_pod(skb);
}

/* The kernel knows no "Apache-2.0 OR GPL-2.0-only"; of the two it needs to hear the second. */
char LICENSE[] SEC("license") = "GPL";
