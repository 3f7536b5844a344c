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

/* On a struct that is in no map, or in an inner one: TypeScript gets its codec all the same. */
#define crosses __attribute__((btf_decl_tag("crosses")))

/* On the size of a map's keys or values: tells the generator which struct it is. */
#define sized_as(name) __attribute__((btf_decl_tag("struct " #name)))

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
 * over, draining or drilling a cluster is one write however many services it has. Times are
 * CLOCK_MONOTONIC. Health is one a family, and the frontend's family decides which one counts.
 */
struct cluster_state {
	__u64 drill_expires_ns; /* The drill override holds until then. */
	__u64 drain_expires_ns; /* The drain counts until then; 0: until it is taken back. */
	__u8 health_ipv4 holds(cluster_health);
	__u8 health_ipv6 holds(cluster_health);
	__u8 held_back_percent_ipv4; /* Gradual return: this share yields like a drain. */
	__u8 held_back_percent_ipv6;
	__u8 drained_percent; /* This share of new connections goes elsewhere: 0 .. 100. */
	__u8 drill holds(cluster_drill);
	__u8 pad[2];
};
_Static_assert(sizeof(struct cluster_state) == 24, "cluster_state");

enum cluster_health {
	CLUSTER_HEALTHY = 0,
	CLUSTER_SUSPECT = 1, /* Still used. */
	CLUSTER_DOWN = 2,
	CLUSTER_LAST_RESORT = 3, /* Used only where nobody else can serve. */
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

/* flows: socket -> the backend that it is, or will be, connected to. */
struct flow_key {
	__u64 socket_cookie;
};
_Static_assert(sizeof(struct flow_key) == 8, "flow_key");

struct flow {
	__u64 netns_cookie; /* SO_NETNS_COOKIE of the socket's network namespace. */
	__u64 started_ns;   /* CLOCK_MONOTONIC, of the call to connect. */
	__u32 service_id;
	__u32 backend_id;
	__u16 cluster_id;
	__u8 protocol holds(ip_protocol);
	__u8 state holds(flow_state);
	__be16 port; /* Of the backend, as is the address. */
	__u8 pad[2];
	__u8 address[ADDRESS_BYTES];
};
_Static_assert(sizeof(struct flow) == 48, "flow");

enum flow_state {
	FLOW_CONNECTING = 0,
	FLOW_ESTABLISHED = 1, /* UDP: from the call to connect on. */
};

/*
 * cluster_evidence: cluster id -> what TCP connections to its backends went through, since the map
 * was made.
 */
struct cluster_evidence {
	__u64 connects;
	__u64 established;
	__u64 failed;	       /* Closed before they were established. */
	__u64 retransmissions; /* Segments sent again, of connections in any state. */
	__u64 aborted;	       /* Established, then closed without either side's FIN. */
};
_Static_assert(sizeof(struct cluster_evidence) == 40, "cluster_evidence");

/*
 * backend_evidence: backend_key -> what has gone wrong with it. A backend with which nothing went
 * wrong has no row. Times are CLOCK_MONOTONIC; 0: never.
 */
struct backend_evidence {
	__u32 failures;		/* Connects that failed since the last success. */
	__u32 retransmissions;	/* Since the last success. */
	__u64 first_failure_ns; /* The first of `failures`. */
	__u64 last_failure_ns;
	__u64 last_success_ns; /* A connection was established after something had gone wrong. */
};
_Static_assert(sizeof(struct backend_evidence) == 32, "backend_evidence");

/* probes: number of a target -> who must answer, and what was heard. */
struct probe {
	__u8 address[ADDRESS_BYTES]; /* Who is asked, and must answer. */
	__u64 cookie; /* In every request's payload, known to this node only; 0: a free row. */
	__u64 last_reply_ns; /* CLOCK_MONOTONIC; 0: none yet. */
	__u64 replies;
	__u64 round_trip_ns; /* Of the last reply. */
	__u32 last_sequence; /* Of the last reply. */
	__u32 pad;
};
_Static_assert(sizeof(struct probe) == 56, "probe");

/*
 * What a probe carries behind the ICMP or ICMPv6 header of an echo request, and the answer brings
 * back. Only the sender reads it, so its numbers are in the machine's own order:
 *
 *   +--------+----------------------+--------+---------+--------+----------+
 *   | IP     | type, code, checksum | cookie | sent_ns | target | sequence |
 *   | header | id, sequence: 8      |   8    |    8    |   4    |    4     |
 *   +--------+----------------------+--------+---------+--------+----------+
 */
struct probe_payload {
	__u64 cookie;
	__u64 sent_ns; /* CLOCK_MONOTONIC */
	__u32 target;  /* Index into probes. */
	__u32 sequence;
} crosses;
_Static_assert(sizeof(struct probe_payload) == 24, "probe_payload");

/* probe_requests: cluster id of the sender -> probes that other nodes sent to this one. */
struct probe_request {
	__u64 last_ns; /* CLOCK_MONOTONIC; 0: none yet. */
	__u64 count;
};
_Static_assert(sizeof(struct probe_request) == 16, "probe_request");

/*
 * faults: peer cluster id -> what a drill does to packets between this node and other nodes. Row 0
 * is about every other node; a row of the peer's own counts before it.
 */
struct fault {
	__u64 expires_ns;    /* CLOCK_MONOTONIC; the fault holds until then, whoever dies. */
	__u64 packets;	     /* Dropped, refused or slowed. */
	__u32 drill;	     /* Number of the drill, for people. */
	__u32 seed;	     /* Which flows the share takes. */
	__u32 slow_priority; /* skb->priority of affected packets, for the slow way; 0: none. */
	__u8 directions holds(fault_direction);
	__u8 flow_percent; /* This share of flows is affected, each one wholly or not at all. */
	__u8 drop_percent; /* Of the packets of affected flows, at random. */
	__u8 refuse;	   /* 1: affected TCP is answered with RST, UDP with port unreachable. */
};
_Static_assert(sizeof(struct fault) == 32, "fault");

/* Two bits. */
enum fault_direction {
	FAULT_NOWHERE = 0,
	FAULT_OUTBOUND = 1, /* From this node to others. */
	FAULT_INBOUND = 2,
	FAULT_BOTH_WAYS = 3,
};

/* drops and counters: one number a processor; the keys are enum drop_reason and enum counter. */
struct count {
	__u64 value;
};
_Static_assert(sizeof(struct count) == 8, "count");
