// IPv6 extension headers in front of what policy asks for.
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { DESTINATION_OPTIONS as destination, extendedPacket, HEADER } from "./odd-packets.ts";
import { PROTOCOL, udpDatagram, withBytes } from "./packet.ts";
import {
  createPolicySite,
  egress,
  FAMILIES,
  IDENTITY,
  type Outcome,
  type PolicySite,
} from "./policy-site.ts";
import { SLOW_MACHINE_MS } from "./scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

let site: PolicySite;

beforeAll(async () => {
  site = await createPolicySite();
});

afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
});

function reasonOf({ verdict, drops }: Outcome): string {
  return verdict === "shot" ? drops.join() : "passes";
}

describe("IPv6 extension headers", () => {
  const { pod, own } = FAMILIES.IPv6;
  const ends = { source: pod, destination: own };
  const packet = (headers: readonly number[], protocol: number = PROTOCOL.udp): Buffer =>
    extendedPacket(ends, { headers, protocol, payload: udpDatagram([40_000, 8080]) });
  const { hopByHop, routing, authentication, none } = HEADER;

  beforeEach(() => {
    site.enforce([egress.allow({ identity: IDENTITY.own, protocol: PROTOCOL.udp, port: 8080 })]);
  });

  test("are walked over", () => {
    for (const headers of [
      [hopByHop],
      [destination],
      [routing],
      [authentication],
      [hopByHop, destination, routing, authentication, destination],
    ])
      expect(reasonOf(site.send(packet(headers)))).toBe("passes");
    expect(site.connections()).toHaveLength(1);
    site.enforce([egress.allow({ identity: IDENTITY.own, protocol: PROTOCOL.udp, port: 8081 })]);
    expect(reasonOf(site.send(packet([hopByHop, destination])))).toBe("policyDenied");
  });

  test("are too many at eight, or lead somewhere else", () => {
    expect(reasonOf(site.send(packet(Array<number>(7).fill(destination))))).toBe("passes");
    expect(reasonOf(site.send(packet(Array<number>(8).fill(destination))))).toBe("headerChain");
    const onward = withBytes(packet([routing]), 40 + 3, [1]);
    expect(reasonOf(site.send(onward))).toBe("headerChain");
  });

  test("are malformed beyond the packet", () => {
    expect(reasonOf(site.send(withBytes(packet([destination]), 41, [200])))).toBe("malformed");
    expect(reasonOf(site.send(packet([destination], PROTOCOL.tcp)))).toBe("malformed");
  });

  test("with nothing behind them are a protocol of their own", () => {
    expect(reasonOf(site.send(packet([destination], none)))).toBe("policyDenied");
  });
});
