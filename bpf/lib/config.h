/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What is fixed when the programs are loaded; the kernel compiles it in. */
#pragma once
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#define means(text) __attribute__((btf_decl_tag(text)))

struct config {
	__u32 overlay_ifindex means("Interface index of the node's VXLAN device.");
	__u32 own_identity_first means("The first identity of the own cluster; 0: not known.");
	__u32 own_identity_last means("The last identity of the own cluster.");
	__u16 overlay_port means("UDP port of every node's VXLAN device.");
	__u16 cluster_id_shift means("Where in an identity the cluster's id begins; 0: not known.");
};

/* A section of its own: .rodata also has what the compiler puts there. */
const volatile struct config config SEC(".rodata.config");
