/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * The layouts of policy, connections and flow records: layout.h continued, by the same rules.
 *
 * Everything is seen from an endpoint, a pod of this node: `local` is the pod, `remote` whoever is
 * at the other end, ingress is what comes to the pod.
 */
#pragma once
#include "layout.h"

/* The numbers are Hubble's, as are those of flow_verdict. */
enum traffic_direction {
	TRAFFIC_INGRESS = 1,
	TRAFFIC_EGRESS = 2,
};

/* policy_node: one row, what holds for the whole node. */
struct policy_node {
	__u8 mode holds(policy_mode);
	__u8 pad[3];
};
_Static_assert(sizeof(struct policy_node) == 4, "policy_node");

enum policy_mode {
	POLICY_OFF = 0,	   /* No engine is in charge: everything passes, nothing is tracked. */
	POLICY_CLOSED = 1, /* An endpoint without a row in policy_state is closed. */
	POLICY_OPEN = 2,   /* It is open: the cluster has no policy. */
};

/* policy_state and policies: the host side of the endpoint's veth pair. */
struct interface_key {
	__u32 ifindex;
};
_Static_assert(sizeof(struct interface_key) == 4, "interface_key");

/* policy_state: endpoint -> who it is and which edition of its policy holds. */
struct policy_state {
	__u32 identity;
	__u32 revision; /* Another one: every connection is judged again with its next packet. */
	__u8 enforcement holds(policy_enforcement);
	__u8 pad[3];
};
_Static_assert(sizeof(struct policy_state) == 12, "policy_state");

enum policy_enforcement {
	ENFORCEMENT_CLOSED = 0, /* Its policy does not fit: nothing passes. */
	ENFORCEMENT_ON = 1,	/* What policies[ifindex] says. */
};

/*
 * policies: endpoint -> its entries, longest prefix first. Identity and direction are exact:
 *
 *   prefix_length   40                 48          48 + n
 *                   every protocol     every port  ports that begin with these n bits
 *
 * Of ICMP and ICMPv6 the type stands for the port.
 */
struct policy_key {
	__u32 prefix_length;
	__u32 identity; /* 0: anybody; AGGREGATE_ in lib/identity.h: many. */
	__u8 direction holds(traffic_direction);
	__u8 protocol; /* IANA's number; 0 where the prefix ends before it. */
	__be16 port;
} crosses;
_Static_assert(sizeof(struct policy_key) == 12, "policy_key");

struct policy_entry {
	__u8 verdict holds(policy_verdict);
	__u8 pad[3];
	__u32 rule; /* The agent's number of it, for records. */
} crosses;
_Static_assert(sizeof(struct policy_entry) == 8, "policy_entry");

/* 0 is none of them: an entry of zeros allows nothing. */
enum policy_verdict {
	POLICY_ALLOW = 1,
	POLICY_DENY = 2,
};

/*
 * connections: both ends and the protocol -> what passes between them.
 *
 * Protocols without ports have zeros. An ICMP echo has its identifier as port of who asks, and the
 * request's type as port of who answers; any other ICMP message 65535 and its type, so that
 * nothing is a reply to it. The port of who did not open a connection is what policy speaks of.
 */
struct connection_key {
	__u8 local[ADDRESS_BYTES] __attribute__((aligned(4)));
	__u8 remote[ADDRESS_BYTES];
	__be16 local_port;
	__be16 remote_port;
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct connection_key) == 40, "connection_key");

struct connection {
	__u64 created_ns; /* Times are CLOCK_MONOTONIC. */
	__u64 last_seen_ns;
	__u64 last_report_ns;
	__u64 sent_packets; /* By the endpoint. */
	__u64 sent_bytes;   /* Of IP packets: headers count, Ethernet's do not. */
	__u64 received_packets;
	__u64 received_bytes;
	__u64 reported_sent_packets; /* Of these, what records have told. */
	__u64 reported_sent_bytes;
	__u64 reported_received_packets;
	__u64 reported_received_bytes;
	__u32 remote_identity;
	__u32 rule;	/* That allowed it; 0 where none had to. */
	__u32 revision; /* Of policy_state, under which it was allowed. */
	__u32 ifindex;
	__u8 direction holds(traffic_direction); /* Egress: the endpoint opened it. */
	__u8 state holds(connection_state);
	__u8 sent_flags; /* TCP's, as far as they were seen. */
	__u8 received_flags;
	__u8 pad[4];
};
_Static_assert(sizeof(struct connection) == 112, "connection");

enum connection_state {
	CONNECTION_OPENING = 0, /* Nobody has answered. */
	CONNECTION_OPEN = 1,
	CONNECTION_CLOSING = 2, /* One side has said FIN. */
	CONNECTION_CLOSED = 3,	/* Both have, or one has reset it. */
};

/* fragments: a fragmented packet -> the ports that only its first fragment has. */
struct fragment_key {
	__u8 source[ADDRESS_BYTES];
	__u8 destination[ADDRESS_BYTES];
	__u32 identification; /* In network order. */
	__u8 protocol;	      /* IPv6: 0, the identification alone tells. */
	__u8 pad[3];
};
_Static_assert(sizeof(struct fragment_key) == 40, "fragment_key");

struct fragment {
	__be16 source_port;
	__be16 destination_port;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 protocol;
	__u8 pad;
};
_Static_assert(sizeof(struct fragment) == 8, "fragment");

/* denials: what was dropped why -> how often since the last record told it. */
struct denial_key {
	__u8 source[ADDRESS_BYTES];
	__u8 destination[ADDRESS_BYTES];
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 reason; /* enum drop_reason */
	__u8 direction holds(traffic_direction);
	__u8 pad;
	__u32 ifindex;
};
_Static_assert(sizeof(struct denial_key) == 44, "denial_key");

struct denial {
	__u64 last_report_ns;
	__u64 packets;
	__u64 bytes;
	__u32 remote_identity; /* As at first. */
	__u32 rule;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 pad[5];
};
_Static_assert(sizeof(struct denial) == 40, "denial");

/*
 * flow_records: a ring buffer of these. Source and destination are those of the packet that made
 * the record. What was sent is since the connection's (or denial's) last record.
 */
struct flow_record {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 packets; /* By who opened the connection. */
	__u64 bytes;
	__u64 reply_packets;
	__u64 reply_bytes;
	__u8 source[ADDRESS_BYTES];
	__u8 destination[ADDRESS_BYTES];
	__u32 source_identity;
	__u32 destination_identity;
	__u32 ifindex;	    /* The endpoint that saw it. */
	__u32 rule;	    /* That decided; 0: none did. */
	__be16 source_port; /* 0 for ICMP. */
	__be16 destination_port;
	__u8 kind holds(flow_kind);
	__u8 verdict holds(flow_verdict);
	__u8 drop_reason;			 /* enum drop_reason; 0: not dropped. */
	__u8 direction holds(traffic_direction); /* Of the connection, at this endpoint. */
	__u8 is_reply;
	__u8 protocol;
	__u8 tcp_flags; /* Seen so far of the packet's sender. */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 pad[3];
} crosses;
_Static_assert(sizeof(struct flow_record) == 104, "flow_record");

enum flow_kind {
	FLOW_NEW = 1,
	FLOW_UPDATE = 2,
	FLOW_CLOSED = 3,
	FLOW_DROPPED = 4,
};

enum flow_verdict {
	VERDICT_FORWARDED = 1,
	VERDICT_DROPPED = 2,
};
