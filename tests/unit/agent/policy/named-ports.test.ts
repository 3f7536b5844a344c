import { describe, expect, test } from "@jest/globals";
import {
  createNamedPorts,
  namedPortsKey,
  type NamedPorts,
} from "../../../../agent/policy/named-ports.ts";
import type { NamedPort } from "../../../../agent/policy/port-prefixes.ts";

const web: NamedPort = { name: "web", port: 80, protocol: "TCP" };
const altWeb: NamedPort = { name: "web", port: 8080, protocol: "TCP" };
const dns: NamedPort = { name: "dns", port: 53, protocol: "UDP" };

function start(): { readonly named: NamedPorts; readonly told: number[] } {
  const told: number[] = [];
  return { named: createNamedPorts({ onChange: (identity) => told.push(identity) }), told };
}

describe("named ports", () => {
  test("a name means the ports of all pods of the identity", () => {
    const { named } = start();
    named.set("a", { identity: 300, ports: [web] });
    named.set("b", { identity: 300, ports: [altWeb, dns] });
    expect(named.portsOf(300)).toEqual([web, altWeb, dns]);
    expect([...named.holdersOf("web")]).toEqual([300]);
    named.set("a", undefined);
    expect(named.portsOf(300)).toEqual([altWeb, dns]);
    expect([...named.holdersOf("web")]).toEqual([300]);
    named.set("b", { identity: 301, ports: [dns] });
    expect([...named.holdersOf("web")]).toEqual([]);
    expect([...named.holdersOf("dns")]).toEqual([301]);
    expect(named.portsOf(300)).toEqual([]);
  });

  test("one pod more of many, or one less, is no change", () => {
    const { named, told } = start();
    named.set("a", { identity: 300, ports: [web, dns] });
    named.set("b", { identity: 300, ports: [dns, web] });
    named.set("a", { identity: 300, ports: [dns, web] });
    named.set("a", undefined);
    named.set("c", { identity: 301, ports: [] });
    expect(told).toEqual([300]);
    named.set("b", undefined);
    expect(told).toEqual([300, 300]);
  });

  test("lists are equal whatever their order", () => {
    expect(namedPortsKey([web, dns])).toBe(namedPortsKey([dns, web, dns]));
    expect(namedPortsKey([web])).not.toBe(namedPortsKey([altWeb]));
    expect(namedPortsKey([])).toBe("");
  });
});
