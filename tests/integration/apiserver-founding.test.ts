// A new etcd must never be reachable before it knows its users: until authentication is on, every
// certificate of the cluster's authority could write, and peers have such certificates.
import { afterEach, describe, expect, test } from "@jest/globals";
import { rm } from "node:fs/promises";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createEtcdStore, type EtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { createTestApiserver, installPeer, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";

const never = new AbortController().signal;
const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
}, 60_000);

/** East's etcd as its peer west sees it. */
function storeOfPeer(east: TestApiserver, west: TestApiserver): EtcdStore {
  const files = `${clusterPaths(west.directory).peers}/east`;
  const store = createEtcdStore({
    endpoints: [east.etcdEndpoint],
    tls: {
      caFile: `${files}/ca.crt`,
      certFile: `${files}/client.crt`,
      keyFile: `${files}/client.key`,
    },
    serverName: meshServerName("east"),
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
  });
  opened.push(store);
  return store;
}

/** Writes until etcd has an opinion; resolves with the code of its answer. */
async function firstAnswer(store: EtcdStore): Promise<string> {
  return eventually(
    async () => {
      try {
        await store.commit([{ kind: "put", key: "cilium/evil", value: Buffer.from("x") }], never);
        return "written";
      } catch (error) {
        const silent = isMeshError(error, "unavailable") || isMeshError(error, "deadline_exceeded");
        return silent ? undefined : isMeshError(error) ? error.code : "unknown";
      }
    },
    { limitMs: 60_000, what: "etcd answers the peer" },
  );
}

describe("a new etcd", () => {
  test("refuses a peer's write from its first answer on, also after it was emptied", async () => {
    const east = await createTestApiserver({ name: "east", id: 1 });
    opened.push(east);
    const west = await createTestApiserver({ name: "west", id: 2 });
    opened.push(west);
    await installPeer(west, east);
    const peer = storeOfPeer(east, west);

    const answer = firstAnswer(peer);
    east.start();
    expect(await answer).toBe("permission_denied");
    await east.ready();

    await east.kill("SIGTERM");
    await rm(clusterPaths(east.directory).etcdData, { recursive: true });
    const again = firstAnswer(peer);
    east.start();
    expect(await again).toBe("permission_denied");
    await east.ready();
    expect((await east.contents()).has("cilium/evil")).toBe(false);
  }, 180_000);
});
