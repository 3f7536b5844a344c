// How much canaries may ask for on one node: they measure a service, they do not load it. Pure.
import { MeshError } from "../../mesh/core/errors.ts";
import type { CanaryOrder } from "../../mesh/operations/questions.ts";
import { parseCanaryTarget } from "./canary/messages.ts";

/** About one core of a small machine. */
export const NODE_PER_SECOND_MAX = 2_000;
/** Sockets that wait at once when nobody answers; a process may have that many files anywhere. */
export const NODE_WAITING_MAX = 4_000;

/** Throws `invalid_argument`, with the limit. */
export function checkOrders(orders: readonly CanaryOrder[]): void {
  let perSecond = 0;
  let waiting = 0;
  for (const order of orders) {
    const { protocol } = parseCanaryTarget(order.target);
    if (protocol === "udp" && order.protocol === "connect") {
      throw new MeshError(
        "invalid_argument",
        `Cannot send canaries to ${order.target} of ${order.service}: UDP makes no connections; want protocol echo`,
      );
    }
    perSecond += order.perSecond;
    waiting += Math.ceil((order.perSecond * order.timeoutMs) / 1_000) + (order.keepOne ? 1 : 0);
  }
  if (perSecond > NODE_PER_SECOND_MAX) {
    throw new MeshError(
      "invalid_argument",
      `Cannot send ${perSecond} canaries a second from one node: want at most ${NODE_PER_SECOND_MAX}`,
      { hint: "send fewer, or from more nodes" },
    );
  }
  if (waiting > NODE_WAITING_MAX) {
    throw new MeshError(
      "invalid_argument",
      `Cannot send canaries of which ${waiting} may wait at once: want at most ${NODE_WAITING_MAX}`,
      { hint: "lower the rate or the time-out" },
    );
  }
}
