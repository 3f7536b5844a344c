/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What people are told of flows: a record at the first packet, few later, and what was dropped. */
#pragma once
#include "../include/layout.h"
#include "../include/policy.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* A tenth of a second of 90,000 records a second, for a reader that looks ten times a second. */
#define FLOW_RECORDS_BYTES (1 << 20)

/* What is being dropped at one time; a scan of ports pushes older ones out. */
#define DENIALS_MAX 16384

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FLOW_RECORDS_BYTES);
} flow_records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, DENIALS_MAX);
	__type(key, struct denial_key);
	__type(value, struct denial);
} denials SEC(".maps");
