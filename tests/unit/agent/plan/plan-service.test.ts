import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ServiceSettings } from "../../../../mesh/core/service.ts";
import {
  frontendKey,
  MAX_GROUP_BACKENDS,
  planService,
  sameFrontend,
  type Frontend,
} from "../../../../agent/plan/plan-service.ts";
import { EAST, localService, NORTH, testService, WEST } from "../../../fakes/agent-cluster.ts";

type Ports = Readonly<Record<string, readonly string[]>>;

/** Frontend key → `cluster: address:port …` in the order of use. */
function plan(parts: {
  frontends: Ports;
  east?: Ports;
  west?: Ports;
  north?: Ports;
  settings?: Partial<ServiceSettings>;
  shared?: boolean;
}): Record<string, string[]> {
  const { settings, shared = true } = parts;
  const peers = [
    ...(parts.west ? [testService(WEST, { backends: parts.west, shared })] : []),
    ...(parts.north ? [testService(NORTH, { backends: parts.north })] : []),
  ];
  const local = localService(
    testService(EAST, { frontends: parts.frontends, backends: parts.east ?? {} }),
    settings,
  );
  const { frontends } = planService({ local, peers, held: new Map() });
  return Object.fromEntries(frontends.map((frontend) => [frontend.key, describeGroups(frontend)]));
}

function describeGroups({ groups }: Frontend): string[] {
  return groups.map(({ cluster, backends }) => {
    const texts = backends.map(({ address, port }) => `${address}:${port}`);
    return `${cluster}: ${texts.join(" ")}`;
  });
}

describe("planService()", () => {
  test("joins the backends of all clusters behind our own address and port number", () => {
    expect(
      plan({
        frontends: { "10.96.0.1": ["http/80"] },
        east: { "10.1.0.1": ["http/8080"] },
        west: { "10.2.0.2": ["http/9090"], "10.2.0.1": ["http/9090"] },
      }),
    ).toEqual({ "10.96.0.1:80/TCP": ["east: 10.1.0.1:8080", "west: 10.2.0.1:9090 10.2.0.2:9090"] });
  });

  test("matches ports by name, an unnamed one with an unnamed one", () => {
    expect(
      plan({
        frontends: { "10.96.0.1": ["http/80", "/81"] },
        east: { "10.1.0.1": ["http/8080", "/8081"] },
        west: { "10.2.0.1": ["web/8080", "/80"] },
      }),
    ).toEqual({
      "10.96.0.1:80/TCP": ["east: 10.1.0.1:8080"],
      "10.96.0.1:81/TCP": ["east: 10.1.0.1:8081", "west: 10.2.0.1:80"],
    });
  });

  test("counts the backends of a group that are not down, and keeps those that are", () => {
    const backends = { "10.1.0.1": ["http/8080"], "10.1.0.2": ["http/8080"] };
    const local = localService(
      testService(EAST, { frontends: { "10.96.0.1": ["http/80"] }, backends }),
    );
    const [frontend] = planService({
      local,
      peers: [],
      held: new Map(),
      isDown: ({ address, clusterId, protocol }) =>
        address === "10.1.0.2" && clusterId === EAST.id && protocol === "TCP",
    }).frontends;
    expect(frontend?.groups).toMatchObject([{ healthy: 1, weight: 1 }]);
    expect(frontend?.groups[0]?.backends).toHaveLength(2);
  });

  test("matches only ports of the same protocol", () => {
    expect(
      plan({
        frontends: { "10.96.0.1": ["dns/53/UDP", "dns-tcp/53/TCP"] },
        east: { "10.1.0.1": ["dns/53/UDP", "dns-tcp/53/TCP"] },
        west: { "10.2.0.1": ["dns/53/TCP", "dns-tcp/53/TCP"] },
      }),
    ).toEqual({
      "10.96.0.1:53/UDP": ["east: 10.1.0.1:53"],
      "10.96.0.1:53/TCP": ["east: 10.1.0.1:53", "west: 10.2.0.1:53"],
    });
  });

  test("takes what is leaving where its cluster has nothing ready, behind what is ready elsewhere", () => {
    const ports = (port: number) => new Map([["http", { protocol: "TCP" as const, port }]]);
    const own = testService(EAST, {
      frontends: { "10.96.0.1": ["http/80"], "fd00:96::1": ["http/80"] },
      backends: { "10.1.0.1": ["http/8080"] },
    });
    const leaving = new Map([
      ["10.1.0.2", ports(8080)],
      ["fd00:1::2", ports(8080)],
    ]);
    const west = testService(WEST, { backends: { "fd00:2::1": ["http/9090"] } });
    const local = localService({ ...own, leaving });
    const { frontends } = planService({ local, peers: [west], held: new Map() });
    expect(frontends.map(describeGroups)).toEqual([
      ["east: 10.1.0.1:8080"],
      ["west: fd00:2::1:9090", "east: fd00:1::2:8080"],
    ]);
  });

  test("keeps the families apart", () => {
    expect(
      plan({
        frontends: { "10.96.0.1": ["http/80"], "fd00:96::1": ["http/80"] },
        east: { "10.1.0.1": ["http/80"] },
        west: { "fd00:2::1": ["http/80"] },
      }),
    ).toEqual({
      "10.96.0.1:80/TCP": ["east: 10.1.0.1:80"],
      "[fd00:96::1]:80/TCP": ["west: fd00:2::1:80"],
    });
  });

  test("uses our backends alone for a service that is not global, whatever else it says", () => {
    expect(
      plan({
        frontends: { "10.96.0.1": ["http/80"] },
        east: { "10.1.0.1": ["http/80"] },
        west: { "10.2.0.1": ["http/80"] },
        settings: { global: false, affinity: "remote", weights: new Map([["east", 0]]) },
      }),
    ).toEqual({ "10.96.0.1:80/TCP": ["east: 10.1.0.1:80"] });
  });

  test("does not hide our backends from ourselves when we share none", () => {
    expect(
      plan({
        frontends: { "10.96.0.1": ["http/80"] },
        east: { "10.1.0.1": ["http/80"] },
        settings: { shared: false },
      }),
    ).toEqual({ "10.96.0.1:80/TCP": ["east: 10.1.0.1:80"] });
  });

  test("takes nothing from a peer that does not share", () => {
    const parts = {
      frontends: { "10.96.0.1": ["http/80"] },
      west: { "10.2.0.1": ["http/80"] },
      shared: false,
    };
    expect(plan(parts)).toEqual({ "10.96.0.1:80/TCP": [] });
  });

  test("keeps the frontend of a service without backends, so that it is refused and not leaked", () => {
    expect(plan({ frontends: { "10.96.0.1": ["http/80"] } })).toEqual({ "10.96.0.1:80/TCP": [] });
  });

  test("leaves SCTP out and says so", () => {
    const local = localService(testService(EAST, { frontends: { "10.96.0.1": ["sig/90/SCTP"] } }));
    expect(planService({ local, peers: [], held: new Map() })).toEqual({
      frontends: [],
      notes: ["Port 90/SCTP is not balanced: want TCP or UDP"],
    });
  });

  test("gives an address and port that two names claim to the first, and says so", () => {
    const local = localService(
      testService(EAST, {
        frontends: { "10.96.0.1": ["web/80", "http/80"] },
        backends: { "10.1.0.1": ["http/8080", "web/9090"] },
      }),
    );
    const { frontends, notes } = planService({ local, peers: [], held: new Map() });
    expect(frontends.map(({ portName }) => portName)).toEqual(["http"]);
    expect(notes).toEqual(['Port "web" is left out: 10.96.0.1:80/TCP belongs to another name']);
  });

  test("uses as many backends of a cluster as a slot number can count", () => {
    const many = Array.from({ length: MAX_GROUP_BACKENDS + 1 }, (_, i): [string, string[]] => [
      `10.${1 + (i >> 16)}.${(i >> 8) & 0xff}.${i & 0xff}`,
      ["http/80"],
    ]);
    const local = localService(
      testService(EAST, {
        frontends: { "10.96.0.1": ["http/80"] },
        backends: Object.fromEntries(many),
      }),
    );
    const { frontends, notes } = planService({ local, peers: [], held: new Map() });
    expect(frontends[0]?.groups[0]?.backends.length).toBe(MAX_GROUP_BACKENDS);
    expect(notes[0]).toContain(`Only ${MAX_GROUP_BACKENDS} of ${MAX_GROUP_BACKENDS + 1} backends`);
  });

  test("carries the session affinity also of a service that is not global", () => {
    const local = localService(testService(EAST, { frontends: { "10.96.0.1": ["http/80"] } }), {
      global: false,
      sessionAffinitySeconds: 60,
    });
    const { frontends } = planService({ local, peers: [], held: new Map() });
    expect(frontends[0]?.sessionAffinitySeconds).toBe(60);
  });

  test("counts what the datapath holds of a cluster that has not spoken, and drops it when it has", () => {
    const local = localService(
      testService(EAST, {
        frontends: { "10.96.0.1": ["http/80"] },
        backends: { "10.1.0.1": ["http/80"] },
      }),
      { minHealthy: { kind: "count", count: 2 } },
    );
    const held = new Map([
      [
        "10.96.0.1:80/TCP",
        [
          {
            cluster: "west",
            clusterId: WEST.id,
            backends: [
              { address: "10.2.0.1", port: 80 },
              { address: "10.2.0.2", port: 80 },
            ],
          },
        ],
      ],
    ]);
    const [silent] = planService({ local, peers: [], held }).frontends;
    expect(silent?.groups.map(({ cluster, weight }) => `${cluster} ${weight}`)).toEqual([
      "east 0",
      "west 2",
    ]);
    const peers = [testService(WEST, { backends: { "10.2.0.9": ["http/80"] } })];
    const [spoken] = planService({ local, peers, held }).frontends;
    expect(spoken === undefined ? [] : describeGroups(spoken)).toEqual([
      "east: 10.1.0.1:80",
      "west: 10.2.0.9:80",
    ]);
  });

  const address = fc.oneof(
    fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 9 })).map(([a, b]) => `10.${a}.0.${b}`),
    fc.integer({ min: 1, max: 9 }).map((last) => `fd00::${last}`),
  );
  const port = fc
    .tuple(
      fc.constantFrom("", "a", "b"),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom("TCP", "UDP", "SCTP"),
    )
    .map((parts) => parts.join("/"));
  const portsArbitrary = fc.dictionary(address, fc.array(port, { maxLength: 3 }), { maxKeys: 4 });

  test("gives a frontend only backends of its family, port name and protocol", () => {
    fc.assert(
      fc.property(portsArbitrary, portsArbitrary, portsArbitrary, (frontends, east, west) => {
        const local = localService(testService(EAST, { frontends, backends: east }));
        const peer = testService(WEST, { backends: west });
        const sources = new Map([
          [EAST.id, local.service],
          [WEST.id, peer],
        ]);
        const result = planService({ local, peers: [peer], held: new Map() });
        for (const frontend of result.frontends) {
          for (const { clusterId, backends } of frontend.groups) {
            for (const backend of backends) {
              expect(backend.address.includes(":")).toBe(frontend.address.includes(":"));
              const named = sources.get(clusterId)?.backends.get(backend.address);
              expect(named?.get(frontend.portName)).toEqual({
                protocol: frontend.protocol,
                port: backend.port,
              });
            }
          }
        }
      }),
    );
  });

  test("does not depend on the order in which anything is given", () => {
    fc.assert(
      fc.property(portsArbitrary, portsArbitrary, portsArbitrary, (frontends, west, north) => {
        const reversed = (ports: Ports): Ports =>
          Object.fromEntries(Object.entries(ports).reverse());
        const peers = [
          testService(WEST, { backends: west }),
          testService(NORTH, { backends: north }),
        ];
        const backwards = [
          testService(NORTH, { backends: reversed(north) }),
          testService(WEST, { backends: reversed(west) }),
        ];
        const one = planService({
          local: localService(testService(EAST, { frontends })),
          peers,
          held: new Map(),
        });
        const other = planService({
          local: localService(testService(EAST, { frontends: reversed(frontends) })),
          peers: backwards,
          held: new Map(),
        });
        expect(other).toEqual(one);
      }),
    );
  });
});

describe("frontendKey()", () => {
  test("puts IPv6 into brackets", () => {
    expect(frontendKey({ address: "fd00::1", port: 53, protocol: "UDP" })).toBe("[fd00::1]:53/UDP");
  });
});

describe("sameFrontend()", () => {
  const local = localService(
    testService(EAST, {
      frontends: { "10.96.0.1": ["http/80"] },
      backends: { "10.1.0.1": ["http/80"] },
    }),
  );
  const [frontend] = planService({ local, peers: [], held: new Map() }).frontends;
  const [again] = planService({ local, peers: [], held: new Map() }).frontends;
  if (frontend === undefined || again === undefined) throw new Error("no plan");
  const [group] = frontend.groups;
  if (group === undefined) throw new Error("no group");

  test("is true for two plans of the same", () => {
    expect(sameFrontend(frontend, again)).toBe(true);
  });

  const changes: readonly Partial<Frontend>[] = [
    { sessionAffinitySeconds: 9 },
    { portName: "x" },
    { service: "shop/other" },
    { groups: [] },
    { groups: [{ ...group, tier: 1 }] },
    { groups: [{ ...group, weight: 9 }] },
    { groups: [{ ...group, clusterId: 9 }] },
    { groups: [{ ...group, cluster: "renamed" }] },
    { groups: [{ ...group, backends: [{ address: "10.1.0.2", port: 80 }] }] },
    { groups: [{ ...group, backends: [{ address: "10.1.0.1", port: 81 }] }] },
    { groups: [{ ...group, backends: [] }] },
  ];
  for (const change of changes) {
    test(`is false after ${JSON.stringify(change).slice(0, 70)}`, () => {
      expect(sameFrontend(frontend, { ...frontend, ...change })).toBe(false);
    });
  }
});
