/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Every layout that crosses from the kernel to TypeScript. Written here once; bpf/gen/ holds the
 * TypeScript codecs generated from the BTF of the built objects.
 *
 * Addresses are 16 bytes in network order everywhere; IPv4 stands as ::ffff:a.b.c.d (RFC 4291
 * section 2.5.5.2). One shape means one lookup for both families.
 */
#pragma once
#include <linux/types.h>

#define ADDRESS_BYTES 16

/*
 * Tells the generator what a byte of a layout means: `holds(cluster_health)` on a field makes its
 * TypeScript type the values of that enum. It travels as a BTF declaration tag.
 */
#define holds(name) __attribute__((btf_decl_tag("enum " #name)))

/* IP protocols with a port; the numbers are IANA's. */
enum ip_protocol {
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
};

/* services: frontend -> service. */
struct service_key {
	__u8 address[ADDRESS_BYTES];
	__be16 port;
	__u8 protocol holds(ip_protocol);
	__u8 pad;
};
_Static_assert(sizeof(struct service_key) == 20, "service_key");

struct service {
	__u32 service_id;  /* Names the frontend in the maps below; never 0. */
	__u16 group_count; /* 0 .. 511 */
	__u16 pad;
	__u32 affinity_timeout_seconds; /* Session affinity by client; 0 for none. */
	__u32 pad2;
};
_Static_assert(sizeof(struct service) == 16, "service");

/* groups: the clusters that can serve a frontend, sorted by tier, best tier first. */
struct group_key {
	__u32 service_id;
	__u16 index; /* 0 .. group_count - 1 */
	__u16 pad;
};
_Static_assert(sizeof(struct group_key) == 8, "group_key");

struct group {
	__u16 cluster_id;
	__u8 tier;
	__u8 pad;
	__u32 weight;	     /* Share within the tier, at most 2^22; 0 takes the group out. */
	__u32 backend_count; /* Slots 0 .. backend_count - 1 are filled; at most 2^16. */
	__u32 pad2;
};
_Static_assert(sizeof(struct group) == 16, "group");

/* backend_slots: the backends of one group, densely numbered. */
struct backend_slot_key {
	__u32 service_id;
	__u16 cluster_id;
	__u16 slot;
};
_Static_assert(sizeof(struct backend_slot_key) == 8, "backend_slot_key");

struct backend_slot {
	__u32 backend_id;
};
_Static_assert(sizeof(struct backend_slot) == 4, "backend_slot");

/* backends: backend id -> address; shared by all services that use it. */
struct backend_key {
	__u32 backend_id; /* Never 0. */
};
_Static_assert(sizeof(struct backend_key) == 4, "backend_key");

struct backend {
	__u8 address[ADDRESS_BYTES];
	__be16 port;
	__u8 protocol holds(ip_protocol);
	__u8 state holds(backend_state);
	__u16 cluster_id;
	__u16 pad;
};
_Static_assert(sizeof(struct backend) == 24, "backend");

enum backend_state {
	BACKEND_ACTIVE = 0,
	BACKEND_DOWN = 1,
};

/*
 * cluster_state: cluster id -> what is known of it. Checked on every selection, so that failing
 * over, draining or drilling a cluster is one write however many services it has.
 */
struct cluster_state {
	__u64 drill_expires_ns; /* CLOCK_MONOTONIC; the drill override holds until then. */
	__u8 health holds(cluster_health);
	__u8 drained_percent; /* This share of new connections goes elsewhere: 0 .. 100. */
	__u8 drill holds(cluster_drill);
	__u8 pad[5];
};
_Static_assert(sizeof(struct cluster_state) == 16, "cluster_state");

enum cluster_health {
	CLUSTER_HEALTHY = 0,
	CLUSTER_SUSPECT = 1, /* Still used. */
	CLUSTER_DOWN = 2,
};

enum cluster_drill {
	DRILL_NONE = 0,
	DRILL_DOWN = 1, /* Treat the cluster as down until the drill expires. */
};

/* affinity: client and service -> the backend it was given. */
struct affinity_key {
	__u64 client; /* Network namespace cookie. */
	__u32 service_id;
	__u32 pad;
};
_Static_assert(sizeof(struct affinity_key) == 16, "affinity_key");

struct affinity {
	__u64 last_used_ns; /* CLOCK_MONOTONIC */
	__u32 backend_id;
	__u16 cluster_id;
	__u16 slot; /* Where the backend was last seen among its group's slots: a hint. */
};
_Static_assert(sizeof(struct affinity) == 16, "affinity");

/* reverse_nat: socket and backend -> the frontend that the program had asked for. */
struct reverse_nat_key {
	__u64 socket_cookie;
	__u8 address[ADDRESS_BYTES];
	__be16 port;
	__u8 protocol holds(ip_protocol);
	__u8 pad[5];
};
_Static_assert(sizeof(struct reverse_nat_key) == 32, "reverse_nat_key");

struct reverse_nat {
	__u8 address[ADDRESS_BYTES];
	__be16 port;
	__u8 pad[6];
};
_Static_assert(sizeof(struct reverse_nat) == 24, "reverse_nat");

/* ipcache: longest prefix -> who is there and on which node. */
struct ipcache_key {
	__u32 prefix_length; /* Bits of `address`: 96 + n for an IPv4 prefix of n bits. */
	__u8 address[ADDRESS_BYTES];
};
_Static_assert(sizeof(struct ipcache_key) == 20, "ipcache_key");

struct ipcache_entry {
	__u32 identity;
	__u8 tunnel_endpoint[ADDRESS_BYTES]; /* All zero: reached without a tunnel. */
	__u16 cluster_id;
	__u8 encryption_key;
	__u8 pad;
};
_Static_assert(sizeof(struct ipcache_entry) == 24, "ipcache_entry");

/* endpoints: the pods of this node. */
struct endpoint_key {
	__u8 address[ADDRESS_BYTES];
};
_Static_assert(sizeof(struct endpoint_key) == 16, "endpoint_key");

struct endpoint {
	__u32 ifindex; /* Host side of the pod's veth pair. */
	__u8 pod_mac[6];
	__u8 host_mac[6];
};
_Static_assert(sizeof(struct endpoint) == 16, "endpoint");

/* drops and counters: one number a processor; the keys are enum drop_reason and enum counter. */
struct count {
	__u64 value;
};
_Static_assert(sizeof(struct count) == 8, "count");
