// What the reference evaluator's two languages share: label selectors, CIDRs, numbers of ports.
import { BlockList } from "node:net";
import type { Selector } from "./documents.ts";
import type { Packet } from "./world.ts";

/**
 * Kubernetes' label selector: all of it must hold, an empty one holds for everybody, and NotIn for
 * whoever has no such label. `valueOf` gives the value of a key, or undefined.
 */
export function selects(selector: Selector, valueOf: (key: string) => string | undefined): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (valueOf(key) !== value) return false;
  }
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const value = valueOf(key);
    if (operator === "In" && !(value !== undefined && values.includes(value))) return false;
    if (operator === "NotIn" && value !== undefined && values.includes(value)) return false;
    if (operator === "Exists" && value === undefined) return false;
    if (operator === "DoesNotExist" && value !== undefined) return false;
  }
  return true;
}

/** The keys that a selector speaks of. */
export function keysOf(selector: Selector): string[] {
  const expressions = selector.matchExpressions ?? [];
  return [...Object.keys(selector.matchLabels ?? {}), ...expressions.map(({ key }) => key)];
}

/** Whether the address lies in the CIDR; never across families. An address stands for itself. */
export function cidrContains(cidr: string, address: string): boolean {
  const family = address.includes(":") ? "ipv6" : "ipv4";
  if (cidr.includes(":") !== address.includes(":")) return false;
  const [network = "", length = family === "ipv4" ? "32" : "128"] = cidr.split("/");
  const list = new BlockList();
  list.addSubnet(network, Number(length), family);
  return list.check(address, family);
}

/** In the CIDR and in none of the exceptions. */
export function blockContains(
  block: { readonly cidr: string; readonly except?: readonly string[] },
  address: string,
): boolean {
  const { cidr, except = [] } = block;
  return cidrContains(cidr, address) && !except.some((hole) => cidrContains(hole, address));
}

/** A name means the container port of that name at the packet's destination, if that is a pod. */
export function isNamedPort(packet: Packet, name: string): boolean {
  const { to, port, protocol } = packet;
  if (to.kind !== "pod") return false;
  return to.ports.some(
    (one) => one.name === name && one.containerPort === port && one.protocol === protocol,
  );
}
