import { describe, expect, test } from "@jest/globals";
import { checkDrain, toldDrains } from "../../../../apiserver/operations/told-drains.ts";
import type { Mirrors } from "../../../../apiserver/mirror/mirrors.ts";
import { encodeDrain, type DrainRecord } from "../../../../mesh/kvstore/records/drain.ts";
import { encodeService } from "../../../../mesh/kvstore/records/service.ts";
import { localService, testService } from "../../../fakes/agent-cluster.ts";
import { testDrain } from "../../../fakes/drains.ts";

const EAST = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const WEST = { name: "west", id: 2, maxConnectedClusters: 255 } as const;
const NORTH = { name: "north", id: 3, maxConnectedClusters: 255 } as const;
const BACKEND = ["http/80/TCP"];

/** East, which hears from west and north. */
function knowledge(drains: { own?: readonly DrainRecord[]; peers?: readonly DrainRecord[] }) {
  const services = [
    testService(WEST, { backends: { "10.2.0.1": BACKEND } }),
    testService(NORTH, { backends: { "10.3.0.1": BACKEND } }),
  ];
  const mirrors: Pick<Mirrors, "records"> = {
    records: (kind, parse) =>
      kind === "drains"
        ? (drains.peers ?? []).map((drain) =>
            parse(drain.id, encodeDrain(drain), drain.cluster === "west" ? WEST : NORTH),
          )
        : services.map((service) =>
            parse("shop/cart", encodeService(service), service.clusterId === 2 ? WEST : NORTH),
          ),
  };
  const own = testService(EAST, { frontends: { "10.96.0.1": BACKEND } });
  return {
    cluster: "east",
    drains: { current: () => drains.own ?? [] },
    mirrors,
    exporter: { localServices: () => [localService(own)] },
    clock: { nowMs: () => 10_000 },
  };
}

describe("toldDrains()", () => {
  test("lists what we say and what peers say of themselves, with who says it", () => {
    const told = toldDrains(
      knowledge({
        own: [testDrain({ cluster: "north", percent: 30 })],
        peers: [testDrain({ expiresAtMs: 25_000, reason: "new kernel" })],
      }),
    );
    expect(told).toEqual([
      {
        cluster: "north",
        percent: 30,
        services: [],
        secondsLeft: 0,
        graceSeconds: 30,
        reason: "",
        toldBy: "east",
      },
      expect.objectContaining({
        cluster: "west",
        secondsLeft: 15,
        reason: "new kernel",
        toldBy: "west",
      }),
    ]);
  });

  test("leaves out a peer's that are over by our clock", () => {
    expect(toldDrains(knowledge({ peers: [testDrain({ expiresAtMs: 10_000 })] }))).toEqual([]);
  });
});

describe("checkDrain()", () => {
  const question = { cluster: "west", services: [] };

  test("asks whether the others can take over", () => {
    expect(checkDrain(question, knowledge({}))).toMatchObject({ affected: 1, short: [] });
  });

  test("does not count on a cluster that is drained itself", () => {
    const north = testDrain({ cluster: "north" });
    const answer = checkDrain(question, knowledge({ peers: [north] }));
    expect(answer.short).toMatchObject([{ service: "shop/cart", bestCluster: "" }]);
    const half = checkDrain(question, knowledge({ own: [{ ...north, percent: 50 }] }));
    expect(half.short).toEqual([]);
  });
});
