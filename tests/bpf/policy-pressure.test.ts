// More connections than the table has room for: it never refuses one, forgets those that were
// silent for longest, and judges their next packet like a first one.
import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { ipPacket, udpDatagram } from "./packet.ts";
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

const ROOM = 2_048;
const { pod, own } = FAMILIES.IPv4;

let site: PolicySite;

beforeAll(async () => {
  site = await createPolicySite(new Map([["connections", ROOM]]));
});

afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
});

function send(port: number): Outcome {
  return site.send(ipPacket({ source: pod, destination: own, payload: udpDatagram([port, 8080]) }));
}

function receive(port: number): Outcome {
  return site.receive(
    ipPacket({ source: own, destination: pod, payload: udpDatagram([8080, port]) }),
  );
}

test("a full table forgets the silent, keeps the busy, and refuses nobody", () => {
  site.enforce([egress.allow({ identity: IDENTITY.own })]);
  const untracked = site.count("connectionUntracked");
  const first = 1;
  const busy = 2;
  send(first);
  for (let port = 10; port < 10 + 3 * ROOM; port++) {
    expect(send(port).verdict).toBe("redirect");
    expect(send(busy).verdict).toBe("redirect");
    expect(receive(busy).verdict).toBe("ok");
  }
  expect(site.connections().length).toBeLessThanOrEqual(ROOM);
  expect(site.count("connectionUntracked")).toBe(untracked);
  // Its answer is nobody's now; when the pod goes on by itself, so does the connection.
  expect(receive(first).drops).toEqual(["policyDenied"]);
  expect(send(first).verdict).toBe("redirect");
  expect(receive(first).verdict).toBe("ok");
});
