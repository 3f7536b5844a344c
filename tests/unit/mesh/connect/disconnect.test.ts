import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../../mesh/core/errors.ts";
import type { ServiceLoss } from "../../../../mesh/connect/cluster-access.ts";
import {
  disconnectClusters,
  type DisconnectOptions,
  type Side,
} from "../../../../mesh/connect/disconnect.ts";
import {
  createTestCluster,
  readTree,
  writeTree,
  type TestCluster,
} from "../../../fakes/cluster.ts";

let clusters: TestCluster[] = [];
const USERS = "users:\n  - name: remote-PEER\n    role: remote\n";

beforeAll(async () => {
  clusters = await Promise.all(
    ["east", "west"].map((name, index) => createTestCluster({ name, id: index + 1 })),
  );
}, 60_000);

beforeEach(async () => {
  for (const { name, directory } of clusters) {
    const peer = name === "east" ? "west" : "east";
    await writeTree(directory, {
      [`peers/${peer}.yaml`]: "endpoints: []",
      [`peers/${peer}/ca.crt`]: "x",
      "remote-users.yaml": USERS.replace("PEER", peer),
    });
  }
});

afterAll(async () => {
  for (const cluster of clusters) await cluster.close();
});

function side(index: 0 | 1, losses: readonly ServiceLoss[] = []): Side {
  const cluster = clusters[index] as TestCluster;
  return {
    cluster: cluster.name,
    access: { ...cluster.access, readLosses: () => Promise.resolve(losses) },
  };
}

function options(changes: Partial<DisconnectOptions> = {}): DisconnectOptions {
  return {
    peer: "west",
    peerSide: side(1),
    force: false,
    dryRun: false,
    onLosses: () => {},
    signal: new AbortController().signal,
    ...changes,
  };
}

async function trees() {
  return Promise.all(clusters.map(({ directory }) => readTree(directory)));
}

const LAST = { service: "shop/web", lostBackends: 2, remainingBackends: 0 };

describe("disconnectClusters()", () => {
  test("removes peer and user on both sides", async () => {
    const result = await disconnectClusters(side(0), options());
    expect(result).toMatchObject({ outcome: "disconnected", sides: ["east", "west"] });
    for (const tree of await trees()) {
      expect(Object.keys(tree).filter((path) => path.startsWith("peers/"))).toEqual([]);
      const users = tree["remote-users.yaml"]?.split(" ")[1] ?? "";
      expect(Buffer.from(users, "base64").toString()).toBe("users: []\n");
    }
  });

  test("cleans only the own side when there is no way in to the peer", async () => {
    const before = await trees();
    const result = await disconnectClusters(side(0), options({ peerSide: undefined }));
    expect(result.sides).toEqual(["east"]);
    expect((await trees())[1]).toEqual(before[1]);
  });

  test("refuses a peer that nobody knows", async () => {
    const unknown = options({ peer: "wset", peerSide: undefined });
    await expect(disconnectClusters(side(0), unknown)).rejects.toMatchObject({
      code: "not_found",
      message: 'Cannot disconnect "wset": "east" is not connected with it',
    });
  });

  test("disconnects again where both sides can be reached", async () => {
    await disconnectClusters(side(0), options());
    const again = await disconnectClusters(side(0), options());
    expect(again.outcome).toBe("disconnected");
  });

  test("is refused when a service would lose its last backends, unless forced", async () => {
    const before = await trees();
    expect(await disconnectClusters(side(0, [LAST]), options())).toMatchObject({
      outcome: "refused",
      losses: [
        { cluster: "east", losses: [LAST] },
        { cluster: "west", losses: [] },
      ],
    });
    expect(await trees()).toEqual(before);
    const forced = await disconnectClusters(side(0, [LAST]), options({ force: true }));
    expect(forced.outcome).toBe("disconnected");
  });

  test("goes on when services keep backends", async () => {
    const losses = [{ ...LAST, remainingBackends: 1 }];
    expect((await disconnectClusters(side(0, losses), options())).outcome).toBe("disconnected");
  });

  test("changes nothing in a dry run", async () => {
    const before = await trees();
    expect(await disconnectClusters(side(0), options({ dryRun: true }))).toMatchObject({
      outcome: "planned",
    });
    expect(await trees()).toEqual(before);
  });

  test("goes on when it cannot be known what breaks, and says so", async () => {
    const { access, cluster } = side(0);
    const dead = {
      ...access,
      readLosses: () => Promise.reject(new MeshError("unavailable", "etcd is dead")),
    };
    const result = await disconnectClusters({ access: dead, cluster }, options());
    expect(result.losses[0]).toEqual({ cluster: "east", losses: [], unknown: "etcd is dead" });
  });

  test("puts both sides back when one cannot be written", async () => {
    const before = await trees();
    const { access, cluster } = side(1);
    const stuck = { ...access, expelReader: () => Promise.reject(new Error("read-only")) };
    const attempt = disconnectClusters(side(0), options({ peerSide: { access: stuck, cluster } }));
    await expect(attempt).rejects.toThrow("read-only");
    expect(await trees()).toEqual(before);
  });

  test("refuses a cluster and itself", async () => {
    await expect(disconnectClusters(side(0), options({ peer: "east" }))).rejects.toThrow(
      'Cannot disconnect cluster "east" from itself',
    );
  });
});
