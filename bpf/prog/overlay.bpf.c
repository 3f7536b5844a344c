/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* tc egress and ingress at the node's VXLAN device; the logic is in lib/overlay.h. */
#include "../lib/overlay.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int to_overlay(struct __sk_buff *skb)
{
	return handle_to_overlay(skb);
}

SEC("tc")
int from_overlay(struct __sk_buff *skb)
{
	return handle_from_overlay(skb);
}

/* The kernel knows no "Apache-2.0 OR GPL-2.0-only"; of the two it needs to hear the second. */
char LICENSE[] SEC("license") = "GPL";
