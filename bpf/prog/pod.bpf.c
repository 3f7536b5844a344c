/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * tc ingress (from_pod) and egress (to_pod) at the host side of each pod's veth pair; the logic is
 * in lib/pod.h. Nothing is attached to collect: whoever wants it done runs it.
 */
#include "../lib/pod.h"
#include "../lib/collect.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	return handle_from_pod(skb);
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	return handle_to_pod(skb);
}

SEC("tc")
int collect(struct __sk_buff *skb)
{
	return handle_collect();
}

/* The kernel knows no "Apache-2.0 OR GPL-2.0-only"; of the two it needs to hear the second. */
char LICENSE[] SEC("license") = "GPL";
