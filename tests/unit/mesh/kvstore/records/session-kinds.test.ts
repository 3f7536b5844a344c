import { describe, expect, test } from "@jest/globals";
import type { Policy } from "../../../../../mesh/core/policy.ts";
import { createTable } from "../../../../../mesh/core/table.ts";
import {
  configuredPeersKind,
  endpointsKind,
  identitiesKind,
  localServicesKind,
  nodePodsKind,
  nodesKind,
  policiesKind,
  servicesKind,
} from "../../../../../mesh/kvstore/records/session-kinds.ts";

const place = (kind: { prefix: string; canaryKey: string }): string[] => [
  kind.prefix,
  kind.canaryKey,
];

for (const [name, make, own, cached] of [
  [
    "nodesKind()",
    nodesKind,
    ["cilium/state/nodes/v1/east/", "cilium/synced/east/cilium/state/nodes/v1"],
    ["cilium/cache/nodes/v1/east/", "cilium/synced/east/cilium/cache/nodes/v1"],
  ],
  [
    "identitiesKind()",
    identitiesKind,
    ["cilium/state/identities/v1/id/", "cilium/synced/east/cilium/state/identities/v1"],
    ["cilium/cache/identities/v1/east/id/", "cilium/synced/east/cilium/cache/identities/v1"],
  ],
  [
    "endpointsKind()",
    endpointsKind,
    ["cilium/state/ip/v1/default/", "cilium/synced/east/cilium/state/ip/v1"],
    ["cilium/cache/ip/v1/east/", "cilium/synced/east/cilium/cache/ip/v1"],
  ],
  [
    "servicesKind()",
    servicesKind,
    ["cilium/state/services/v1/east/", "cilium/synced/east/cilium/state/services/v1"],
    ["cilium/cache/services/v1/east/", "cilium/synced/east/cilium/cache/services/v1"],
  ],
] as const) {
  describe(name, () => {
    const table = createTable<never>({ name: "t" });

    test("stands where the owner writes, and where the mirror writes", () => {
      expect(place(make({ cluster: "east", layout: "state", table }))).toEqual(own);
      expect(place(make({ cluster: "east", layout: "cache", table }))).toEqual(cached);
    });

    test("is bounded in number and size", () => {
      const kind = make({ cluster: "east", layout: "state", table });
      expect(kind.maxRecords).toBeGreaterThan(0);
      expect(kind.maxRecords).toBeLessThanOrEqual(500_000);
      expect(kind.maxValueBytes).toBeLessThanOrEqual(1_536 * 1_024);
      expect(kind.table).toBe(table);
    });
  });
}

describe("localServicesKind()", () => {
  test("stands in Tombolo's own room", () => {
    expect(
      place(localServicesKind({ cluster: "east", table: createTable({ name: "t" }) })),
    ).toEqual(["tombolo/local/services/v1/east/", "cilium/synced/east/tombolo/local/services/v1"]);
  });
});

describe("configuredPeersKind()", () => {
  const kind = configuredPeersKind({ cluster: "east", table: createTable({ name: "t" }) });
  const cluster = { name: "east", id: 1, maxConnectedClusters: 255 } as const;

  test("has one place", () => {
    expect(place(kind)).toEqual([
      "tombolo/local/peers/v1/east/",
      "cilium/synced/east/tombolo/local/peers/v1",
    ]);
  });

  test("lists a peer whose record cannot be read, with an unknown id", () => {
    expect(kind.parse("west", Buffer.from('{"name":"west","id":2}'), cluster).id).toBe(2);
    const unreadable = Buffer.from('{"name":"west","id":"two"}');
    expect(kind.parse("west", unreadable, cluster)).toEqual({ name: "west", id: undefined });
  });
});

describe("policiesKind()", () => {
  const table = createTable<Policy>({ name: "t" });
  const kind = policiesKind({ cluster: "east", table });
  const cluster = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
  const broken = Buffer.from("{}");

  test("is ours alone, and not expected of older apiservers", () => {
    expect(place(kind)).toEqual([
      "tombolo/local/policies/v1/east/",
      "cilium/synced/east/tombolo/local/policies/v1",
    ]);
    expect(kind.optional).toBe(true);
  });

  test("closes what a record that cannot be read may be about, and keeps what is known", () => {
    const closed = kind.parse("NetworkPolicy/shop/web", broken, cluster);
    expect(closed.rules[0]?.defaultDeny).toEqual({ ingress: true, egress: true });
    table.put("NetworkPolicy/shop/web", { ...closed, rules: [], refusals: [] });
    expect(() => kind.parse("NetworkPolicy/shop/web", broken, cluster)).toThrow("Cannot use");
  });
});

describe("nodePodsKind()", () => {
  test("reads the pods of one node", () => {
    const kind = nodePodsKind({ cluster: "east", node: "n1", table: createTable({ name: "t" }) });
    expect(place(kind)).toEqual([
      "tombolo/local/pods/v1/east/n1/",
      "cilium/synced/east/tombolo/local/pods/v1",
    ]);
    expect(kind.optional).toBe(true);
  });
});
