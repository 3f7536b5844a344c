/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Names every enum, and every struct that crosses without a map, so that it stands in this
 * object's BTF: for the generator only, never loaded.
 * (A map of the kernel's array type may not have an enum as key, and layouts hold them as bytes.)
 */
#include "../include/counter.h"
#include "../include/drop.h"
#include "../include/layout.h"
#include "../include/policy.h"

struct {
	enum backend_state backend_state;
	enum cluster_drill cluster_drill;
	enum cluster_health cluster_health;
	enum connection_state connection_state;
	enum counter counter;
	enum drop_reason drop_reason;
	enum fault_direction fault_direction;
	enum flow_kind flow_kind;
	enum flow_state flow_state;
	enum flow_verdict flow_verdict;
	enum ip_protocol ip_protocol;
	enum policy_enforcement policy_enforcement;
	enum policy_mode policy_mode;
	enum policy_verdict policy_verdict;
	enum traffic_direction traffic_direction;
	struct flow_record flow_record;
	struct policy_entry policy_entry;
	struct policy_key policy_key;
	struct probe_payload probe_payload;
} names;
