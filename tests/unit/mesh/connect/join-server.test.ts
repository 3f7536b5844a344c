import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { readFile } from "node:fs/promises";
import { createJoinClient } from "../../../../mesh/api/join-client.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createJoinServer } from "../../../../mesh/connect/join-server.ts";
import { fetchPinnedAuthority } from "../../../../mesh/connect/pinned-authority.ts";
import { readAuthority } from "../../../../pki/files.ts";
import { createTestCluster, type TestCluster } from "../../../fakes/cluster.ts";

let west: TestCluster;

beforeAll(async () => {
  west = await createTestCluster({ name: "west", id: 2 });
}, 60_000);

afterAll(() => west.close());

test("createJoinServer() serves with the cluster's certificate and ends with its signal", async () => {
  const server = await createJoinServer({
    access: west.access,
    directory: west.directory,
    listen: "127.0.0.1:0",
    clock: systemClock,
    log: silentLogger,
  });
  const stop = new AbortController();
  const running = server.run(stop.signal);
  const { certificate } = await readAuthority(`${west.directory}/pki`);
  const endpoint = `127.0.0.1:${server.port}`;
  const serverName = "west.mesh.cilium.io";
  const pin = { endpoint, serverName, caFingerprint: certificate.fingerprint, clock: systemClock };
  await expect(fetchPinnedAuthority(pin, stop.signal)).resolves.toBeDefined();
  const trustBundle = await readFile(`${west.directory}/pki/ca.crt`, "utf8");
  const client = createJoinClient({ endpoint, serverName, trustBundle, clock: systemClock });
  await expect(client.check({ credential: null }, stop.signal)).rejects.toMatchObject({
    code: "unauthenticated",
  });
  client.close();
  stop.abort();
  await running;
}, 30_000);
