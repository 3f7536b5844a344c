import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:tls";
import { createJoinClient } from "../../../../mesh/api/join-client.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createJoinServer } from "../../../../mesh/connect/join-server.ts";
import { fetchPinnedAuthority } from "../../../../mesh/connect/pinned-authority.ts";
import { pkiPaths, readAuthority } from "../../../../pki/files.ts";
import { issueServer } from "../../../../pki/issue.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { createTestCluster, type TestCluster } from "../../../fakes/cluster.ts";
import { eventually } from "../../../fakes/eventually.ts";

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

test("createJoinServer() shows a renewed certificate to whoever connects, half a renewal to nobody", async () => {
  const clock = createFakeClock(systemClock.nowMs());
  const { directory, access } = west;
  const listen = "127.0.0.1:0";
  const server = await createJoinServer({ access, directory, listen, clock, log: silentLogger });
  const stop = new AbortController();
  const running = server.run(stop.signal);
  const { serverCertificate, serverKey, caCertificate } = pkiPaths(`${directory}/pki`);
  const before = await shown(server.port);
  const renewed = await issueServer(await readAuthority(`${directory}/pki`), systemClock.nowMs());
  await writeFile(serverCertificate, renewed.certificate.pem);
  await clock.advance(5_000);
  expect(await shown(server.port)).toBe(before);
  await writeFile(serverKey, renewed.privateKey.encodePem());
  const wanted = renewed.certificate.x509.fingerprint256;
  await eventually(async () => {
    await clock.advance(5_000);
    return (await shown(server.port)) === wanted;
  });
  const trustBundle = await readFile(caCertificate, "utf8");
  const endpoint = `127.0.0.1:${server.port}`;
  const serverName = "west.mesh.cilium.io";
  const client = createJoinClient({ endpoint, serverName, trustBundle, clock: systemClock });
  await expect(client.check({ credential: null }, stop.signal)).rejects.toMatchObject({
    code: "unauthenticated",
  });
  client.close();
  stop.abort();
  await running;
}, 30_000);

/** The fingerprint of the certificate that a new connection is shown. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}
