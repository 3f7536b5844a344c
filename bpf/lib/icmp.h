/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Types of ICMP and ICMPv6 messages; the kernel's own header does not compile for eBPF. */
#pragma once

/* RFC 792, RFC 4443 and RFC 3810. */
#define ICMPV4_ECHO_REPLY 0
#define ICMPV4_UNREACHABLE 3
#define ICMPV4_PORT 3 /* Code: port unreachable. */
#define ICMPV4_SOURCE_QUENCH 4
#define ICMPV4_ECHO_REQUEST 8
#define ICMPV4_TIME_EXCEEDED 11
#define ICMPV4_PARAMETER_PROBLEM 12
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_PORT 4 /* Code: port unreachable. */
#define ICMPV6_PARAMETER_PROBLEM 4
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129
#define ICMPV6_LISTENER_FIRST 130
#define ICMPV6_LISTENER_LAST 132
#define ICMPV6_DISCOVERY_FIRST 133
#define ICMPV6_DISCOVERY_LAST 137
#define ICMPV6_LISTENER_REPORT 143
