/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Why a packet or a connection was refused: the only list. The numbers are the index into the
 * `drops` map and are never reused.
 */
#pragma once

enum drop_reason {
	DROP_NONE = 0,
	DROP_MALFORMED = 1,	     /* The headers do not fit into the packet. */
	DROP_NO_USABLE_CLUSTER = 2,  /* Every cluster that could serve is down, drained or empty. */
	DROP_NO_BACKEND = 3,	     /* The chosen cluster's backend is gone from the maps. */
	DROP_NO_TUNNEL_ENDPOINT = 4, /* The destination is remote and its node is unknown. */
	DROP_TUNNEL_KEY = 5,	     /* The kernel refused the tunnel metadata. */
	DROP_TTL_EXCEEDED = 6,	     /* The stack answers the sender with an ICMP error. */
	DROP_SOURCE_SPOOFED = 7,     /* The pod used an address that is not its own. */
	DROP_NOT_IP = 8,	     /* Only IPv4 and IPv6 travel, between nodes or to pods. */
	DROP_FAULT_INJECTED = 9,     /* A drill asked for it. */
	DROP_POLICY_DENIED = 10,     /* No rule allows it. */
	DROP_POLICY_DENY_RULE = 11,  /* A rule denies it. */
	DROP_POLICY_PENDING = 12,    /* The endpoint's policy is not known yet. */
	DROP_POLICY_OVERFLOW = 13,   /* The endpoint's policy does not fit. */
	DROP_FRAGMENT = 14,	     /* Its first fragment, which has the ports, was not seen. */
	DROP_HEADER_CHAIN = 15,	     /* More IPv6 extension headers than are looked at. */
	DROP_OVERLAY_FORGED = 16,    /* A pod spoke to a node's end of the overlay itself. */
	DROP_TUNNEL_SENDER = 17,     /* No node of the cluster that the source belongs to. */
	DROP_TUNNEL_IDENTITY = 18,   /* A number that is not the sending cluster's. */
	DROP_REASON_COUNT = 19,
};
