import { describe, expect, test } from "@jest/globals";
import { checkCapacity, type CapacityAnswer } from "../../../../mesh/drain/capacity.ts";
import type { LocalService, ServiceSettings } from "../../../../mesh/core/service.ts";
import { localService, testService } from "../../../fakes/agent-cluster.ts";

const cluster = (name: string, id: number) => ({ name, id, maxConnectedClusters: 255 }) as const;
const [EAST, WEST, NORTH] = [cluster("east", 1), cluster("west", 2), cluster("north", 3)];
const FRONTENDS = { "10.96.0.1": ["http/80/TCP"] };

/** `{east: 2}` → two backends in east. */
function backends(id: number, count: number, port = "http/8080/TCP"): Record<string, string[]> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`10.${id}.0.${index + 1}`, [port]]),
  );
}

/** As east sees "shop/cart". */
function check(options: {
  readonly east?: number;
  readonly west?: number;
  readonly north?: number;
  readonly settings?: Partial<ServiceSettings>;
  readonly services?: readonly string[];
  readonly drained?: readonly string[];
  readonly northShared?: boolean;
  readonly more?: readonly LocalService[];
}): CapacityAnswer {
  const { east = 0, west = 2, north = 0, settings = {}, northShared = true } = options;
  const own = testService(EAST, { frontends: FRONTENDS, backends: backends(1, east) });
  return checkCapacity(
    { cluster: "west", services: options.services ?? [] },
    {
      own: [localService(own, settings), ...(options.more ?? [])],
      peers: [
        testService(WEST, { backends: backends(2, west) }),
        testService(NORTH, { backends: backends(3, north), shared: northShared }),
      ],
      drained: new Set(options.drained ?? []),
    },
  );
}

describe("checkCapacity()", () => {
  test("one backend elsewhere is enough if nothing is said", () => {
    expect(check({ east: 1 })).toEqual({ affected: 1, short: [], problems: [] });
    expect(check({ north: 1 }).short).toEqual([]);
  });

  test("names the port that nobody else answers", () => {
    expect(check({})).toEqual({
      affected: 1,
      short: [
        {
          service: "shop/cart",
          port: "http 80/TCP over IPv4",
          needed: 1,
          bestCluster: "",
          bestBackends: 0,
        },
      ],
      problems: [],
    });
  });

  test("wants min-healthy of one of the others alone", () => {
    const settings = { minHealthy: { kind: "count", count: 3 } } as const;
    expect(check({ east: 2, north: 2, settings }).short).toMatchObject([
      { needed: 3, bestCluster: "east", bestBackends: 2 },
    ]);
    expect(check({ east: 3, settings }).short).toEqual([]);
    const percent = { minHealthy: { kind: "percent", percent: 50 } } as const;
    expect(check({ east: 1, west: 4, settings: percent }).short).toMatchObject([{ needed: 2 }]);
    const none = { minHealthy: { kind: "count", count: 0 } } as const;
    expect(check({ settings: none }).short).toMatchObject([{ needed: 1 }]);
  });

  test("counts nobody who would not be used: drained, without weight, not shared", () => {
    expect(check({ north: 1, drained: ["north"] }).short).toHaveLength(1);
    const settings = { weights: new Map([["north", 0]]) };
    expect(check({ north: 1, settings }).short).toHaveLength(1);
    expect(check({ north: 1, northShared: false }).short).toHaveLength(1);
  });

  test("does not care for services that have nothing there, or stay at home", () => {
    expect(check({ east: 1, west: 0 })).toEqual({ affected: 0, short: [], problems: [] });
    expect(check({ settings: { global: false } })).toEqual({
      affected: 0,
      short: [],
      problems: [],
    });
  });

  test("asks for every port and family by itself", () => {
    const frontends = { "10.96.0.2": ["http/80/TCP", "dns/53/UDP"], "fd00::2": ["http/80/TCP"] };
    const both = testService(EAST, {
      name: "both",
      frontends,
      backends: { "10.1.0.1": ["http/80/TCP"], "10.2.0.9": ["dns/53/UDP"] },
    });
    const west = testService(WEST, {
      name: "both",
      backends: { "10.2.0.1": ["http/80/TCP", "dns/53/UDP"], "fd00::9": ["http/80/TCP"] },
    });
    const answer = checkCapacity(
      { cluster: "west", services: [] },
      { own: [localService(both)], peers: [west], drained: new Set() },
    );
    expect(answer.short.map(({ port }) => port)).toEqual(["http 80/TCP over IPv6"]);
  });

  test("looks at named services only, and says why one cannot be drained", () => {
    const home = localService(testService(EAST, { name: "home" }), { global: false });
    const answer = check({
      east: 1,
      west: 0,
      services: ["shop/cart", "shop/home", "shop/none"],
      more: [home],
    });
    expect(answer).toEqual({
      affected: 0,
      short: [],
      problems: [
        'shop/cart has no backends in "west"',
        "shop/home is not global: it has nowhere else to go",
        "shop/none does not exist",
      ],
    });
    expect(check({ services: ["shop/other"] }).short).toEqual([]);
  });
});
