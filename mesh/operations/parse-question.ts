// A question as it came in, checked whole before anybody acts on it: a peer may ask, but it may not
// crash us, fill us up, or ask for more than a drill needs.
import {
  BREAK_TTL_MAX_MS,
  CANARIES_TTL_MAX_MS,
  FAULT_TTL_MAX_MS,
  LOCK_TTL_MAX_MS,
  type CanaryOrder,
  type DaemonFault,
  type PacketFault,
  type Question,
} from "./questions.ts";
import { ReceivedObject } from "./received-json.ts";

/** A hundred canary orders with long names are 30 KB. */
export const QUESTION_MAX_BYTES = 256 * 1024;
/** One a cluster of the mesh, in two directions. */
const FAULTS_MAX = 1_024;
const ORDERS_MAX = 1_024;
/** All canaries of one order together; loads are measured, not made, by drills. */
const PER_SECOND_MAX = 10_000;
const CANARY_TIMEOUT_MAX_MS = 60_000;
const RECORD_MAX = Number.MAX_SAFE_INTEGER;

const KINDS = [
  "hello",
  "services",
  "health",
  "snapshot",
  "flows",
  "inject",
  "break",
  "lift",
  "lock",
  "unlock",
  "canaries",
  "canary-records",
  "timeline",
] as const satisfies readonly Question["ask"][];
const DAEMON_FAULTS: readonly DaemonFault[] = [
  "etcd-kill",
  "apiserver-kill",
  "nats-kill",
  "sessions-cut",
];
const NAME = { maxLength: 300 } as const;
/** The id of a drill; "" stands for any where the question says so. */
const DRILL = { maxLength: 63, pattern: /^[a-z0-9][-a-z0-9]*$/ } as const;
const ANY_DRILL = { maxLength: 63, pattern: /^([a-z0-9][-a-z0-9]*)?$/ } as const;
const PERCENT = { min: 0, max: 100 } as const;

/** Throws `invalid_argument`, with what would be right. */
export function parseQuestion(data: Buffer): Question {
  const fields = ReceivedObject.parse(data, { what: "question", maxBytes: QUESTION_MAX_BYTES });
  const ask = fields.choice("ask", KINDS);
  switch (ask) {
    case "services":
      return { ask, after: fields.text("after", NAME) };
    case "hello":
    case "health":
    case "snapshot":
      return { ask };
    case "flows":
      return { ask, service: fields.text("service", NAME), peer: fields.text("peer", NAME) };
    case "inject":
      return {
        ask,
        drill: fields.text("drill", DRILL),
        faults: fields.objects("faults", FAULTS_MAX).map(packetFault),
        ttlMs: fields.number("ttlMs", { min: 0, max: FAULT_TTL_MAX_MS }),
      };
    case "break":
      return {
        ask,
        drill: fields.text("drill", DRILL),
        fault: fields.choice("fault", DAEMON_FAULTS),
        ttlMs: fields.number("ttlMs", { min: 0, max: BREAK_TTL_MAX_MS }),
      };
    case "lift":
    case "unlock":
      return { ask, drill: fields.text("drill", ANY_DRILL) };
    case "lock":
      return {
        ask,
        drill: fields.text("drill", DRILL),
        holder: fields.text("holder", NAME),
        ttlMs: fields.number("ttlMs", { min: 0, max: LOCK_TTL_MAX_MS }),
        renew: fields.flag("renew"),
      };
    case "canaries":
      return {
        ask,
        drill: fields.text("drill", DRILL),
        orders: fields.objects("orders", ORDERS_MAX).map(canaryOrder),
        ttlMs: fields.number("ttlMs", { min: 0, max: CANARIES_TTL_MAX_MS }),
      };
    case "canary-records":
      return {
        ask,
        drill: fields.text("drill", DRILL),
        from: fields.integers("from", { maxItems: ORDERS_MAX, min: 0, max: RECORD_MAX }),
      };
    case "timeline":
      return { ask, sinceMs: fields.number("sinceMs", { min: 0, max: RECORD_MAX }) };
  }
}

function packetFault(fields: ReceivedObject): PacketFault {
  return {
    peer: fields.text("peer", NAME),
    direction: fields.choice("direction", ["both", "outbound", "inbound"]),
    flowPercent: fields.number("flowPercent", PERCENT),
    dropPercent: fields.number("dropPercent", PERCENT),
    refuse: fields.flag("refuse"),
    slow: fields.flag("slow"),
  };
}

function canaryOrder(fields: ReceivedObject): CanaryOrder {
  return {
    service: fields.text("service", NAME),
    target: fields.text("target", { maxLength: 80, pattern: /^(tcp|udp):\S+:\d{1,5}$/ }),
    protocol: fields.choice("protocol", ["connect", "echo"]),
    perSecond: fields.number("perSecond", { min: 0, max: PER_SECOND_MAX }),
    timeoutMs: fields.number("timeoutMs", { min: 1, max: CANARY_TIMEOUT_MAX_MS }),
    keepOne: fields.flag("keepOne"),
  };
}
