/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Address -> identity and node, by longest prefix. */
#pragma once
#include "../include/layout.h"
#include "address.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Pods, nodes and pod ranges of the whole mesh; tries allocate on use. */
#define IPCACHE_MAX 1000000

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, IPCACHE_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipcache_key);
	__type(value, struct ipcache_entry);
} ipcache SEC(".maps");

static __always_inline const struct ipcache_entry *find_ipcache_entry(const __u8 *address)
{
	struct ipcache_key key = {.prefix_length = ADDRESS_BYTES * 8};

	__builtin_memcpy(key.address, address, ADDRESS_BYTES);
	return bpf_map_lookup_elem(&ipcache, &key);
}
