/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The ports of fragmented packets, which only the first fragment has. */
#pragma once
#include "../include/drop.h"
#include "../include/layout.h"
#include "../include/policy.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Packets whose fragments are on their way at one time: those of 100 Mbit/s for a second. */
#define FRAGMENTS_MAX 8192

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENTS_MAX);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
} fragments SEC(".maps");
