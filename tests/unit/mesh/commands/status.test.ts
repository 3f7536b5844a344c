import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  formatStatuses,
  isHealthy,
  statusCommand,
  type ContextStatus,
} from "../../../../mesh/commands/status.ts";
import type { PeerStatus } from "../../../../mesh/connect/cluster-facts.ts";
import { writeContext } from "../../../../mesh/contexts/contexts.ts";
import { createTestContext } from "../../../fakes/command-context.ts";
import { createTestCluster, type TestCluster } from "../../../fakes/cluster.ts";
import { createDrainCluster } from "../../../fakes/drain-cluster.ts";

const output = { write: () => {}, colour: false };

function status(peers: readonly PeerStatus[], changes: Partial<ContextStatus> = {}): ContextStatus {
  return {
    context: "east",
    cluster: "east",
    id: 1,
    apiserver: {
      version: "0.1.0",
      ready: true,
      reasons: [],
      uptimeSeconds: 1,
      peers,
    },
    problem: undefined,
    ...changes,
  };
}

const WEST: PeerStatus = {
  name: "west",
  id: 2,
  state: "ready",
  reason: "",
  synced: true,
  heartbeatAgeSeconds: 12.4,
  reconnections: 0,
  kinds: [
    { kind: "nodes", records: 2, rejected: 0, rejectedLatest: [] },
    { kind: "ip", records: 100, rejected: 3, rejectedLatest: ["10.9.9.9: not yours"] },
  ],
};

describe("formatStatuses()", () => {
  test("shows a row for every peer, and remarks below", () => {
    const stale = { ...WEST, name: "north", state: "stale", reason: "silent", kinds: [] };
    expect(formatStatuses([status([WEST, stale])], output)).toBe(
      [
        "CLUSTER  ID  APISERVER  PEER   STATE  HEARTBEAT  NODES  IDENTITIES  ENDPOINTS  SERVICES  REJECTED",
        "east      1  ready      west   ready       12 s      2           -        100         -         3",
        "east      1  ready      north  stale       12 s      -           -          -         -         0",
        "",
        "! east: peer west: ip: 10.9.9.9: not yours",
        "! east: peer north: silent",
        "",
      ].join("\n"),
    );
  });

  test("names the drains that are in force", () => {
    const drain = { cluster: "west", percent: 25, graceSeconds: 30, toldBy: "west" };
    const drains = [
      { ...drain, services: [], secondsLeft: 3_570, reason: "kernel" },
      { ...drain, services: ["shop/cart"], secondsLeft: 0, reason: "" },
    ];
    const shown = status([WEST]);
    const text = formatStatuses(
      [{ ...shown, apiserver: shown.apiserver && { ...shown.apiserver, drains } }],
      output,
    );
    expect(text).toContain(
      "! east: west is drained by 25 % (59m 30s left, told by west): kernel\n",
    );
    expect(text).toContain("! east: shop/cart in west is drained by 25 % (no end, told by west)\n");
  });

  test("says of a connected peer without a heartbeat that one is waited for", () => {
    const unheard = { ...WEST, heartbeatAgeSeconds: -1 };
    expect(formatStatuses([status([unheard])], output)).toMatch(/ready +waiting /);
    const away = { ...unheard, state: "connecting" };
    expect(formatStatuses([status([away])], output)).toMatch(/connecting +- /);
  });

  test("shows a cluster without peers, and one whose apiserver is down", () => {
    const down = status([], { apiserver: undefined, problem: "no answer" });
    expect(
      formatStatuses([status([]), { ...down, cluster: undefined, id: undefined }], output),
    ).toBe(
      [
        "CLUSTER  ID  APISERVER  PEER  STATE  HEARTBEAT  NODES  IDENTITIES  ENDPOINTS  SERVICES  REJECTED",
        "east      1  ready      -     -              -      -           -          -         -         -",
        "east      -  down       -     -              -      -           -          -         -         -",
        "",
        "! east: no answer",
        "",
      ].join("\n"),
    );
  });
});

describe("isHealthy()", () => {
  test("wants an apiserver that is ready and peers in sync", () => {
    expect(isHealthy(status([WEST]))).toBe(true);
    expect(isHealthy(status([]))).toBe(true);
    expect(isHealthy(status([{ ...WEST, synced: false }]))).toBe(false);
    expect(isHealthy(status([{ ...WEST, state: "stale" }]))).toBe(false);
    expect(isHealthy(status([], { apiserver: undefined }))).toBe(false);
  });
});

describe("mesh status", () => {
  let home = "";
  let east: TestCluster;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "tombolo-cn-home-"));
    east = await createTestCluster({ name: "east", id: 1 });
  }, 60_000);

  afterAll(async () => {
    await rm(home, { recursive: true, force: true });
    await east.close();
  });

  test("says that there is nothing yet", async () => {
    await expect(statusCommand.run([], createTestContext(home))).rejects.toThrow(
      "Cannot show any status: there is no context yet",
    );
  });

  test("shows every context, also those in trouble, and exits with 1 for them", async () => {
    const networkNamespace = undefined;
    await writeContext(home, { name: "east", directory: east.directory, networkNamespace });
    await writeContext(home, { name: "gone", directory: "/nowhere", networkNamespace });
    const context = createTestContext(home);
    expect(await statusCommand.run(["--output", "json"], context)).toBe(1);
    expect(JSON.parse(context.out())).toMatchObject([
      {
        context: "east",
        cluster: "east",
        id: 1,
        problem: expect.stringContaining("does not answer"),
      },
      { context: "gone", problem: expect.stringContaining("/nowhere/cluster.json") },
    ]);
  });

  test("says which failover was never drilled, and that it is not known; the exit status stays 0", async () => {
    const place = await mkdtemp(join(tmpdir(), "tombolo-cn-home-"));
    const cluster = await createDrainCluster({ home: place, name: "east", id: 1, peers: ["west"] });
    const edge = { service: "shop/cart", client: "east", from: "west", to: ["east"] };
    try {
      cluster.drills = { problem: "", failovers: [{ ...edge, lastDrilledMs: 0 }] };
      const context = createTestContext(place);
      expect(await statusCommand.run([], context)).toBe(0);
      expect(context.out()).toContain(
        "! failover: of 1 configured, 1 never drilled: shop/cart away from west; ",
      );
      const asJson = createTestContext(place);
      await statusCommand.run(["--output", "json"], asJson);
      const failovers = [{ ...edge, lastDrilledMs: 0, state: "never-drilled" }];
      const drills = { problem: "", configured: 1, neverDrilled: 1, stale: 0, failovers };
      expect(JSON.parse(asJson.out())).toMatchObject([{ context: "east", drills }]);

      cluster.drills = { problem: "the operations plane does not answer", failovers: [] };
      const silent = createTestContext(place);
      expect(await statusCommand.run([], silent)).toBe(0);
      expect(silent.out()).toContain(
        "! east: what was drilled is not known: the operations plane does not answer\n",
      );
    } finally {
      await cluster.close();
      await rm(place, { recursive: true, force: true });
    }
  });

  test("refuses words and unknown contexts", async () => {
    await expect(statusCommand.run(["east"], createTestContext(home))).rejects.toThrow(
      'Cannot use "east": name contexts with --context',
    );
    await expect(
      statusCommand.run(["--context", "nowhere"], createTestContext(home)),
    ).rejects.toThrow('Cannot find context "nowhere"');
  });
});
