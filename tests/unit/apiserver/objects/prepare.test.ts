import { afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createObjectDirectory } from "../../../../apiserver/objects/directory.ts";
import { prepareDirectory } from "../../../../apiserver/objects/prepare.ts";
import { secretFromAuthority, type Secret } from "../../../../mesh/connect/kubernetes-objects.ts";
import {
  clusterPaths,
  readClusterProfile,
  type ClusterProfile,
} from "../../../../mesh/contexts/cluster-directory.ts";
import { createJsonLogger, silentLogger } from "../../../../mesh/core/logger.ts";
import { createCertificateAuthority } from "../../../../pki/issue.ts";
import { initialisePki, readAuthority } from "../../../../pki/files.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import { eventually } from "../../../fakes/eventually.ts";
import { createFakeTransport, type FakeTransport } from "../../../fakes/kubernetes-transport.ts";

const NOW = Date.UTC(2026, 0, 1);
const PROFILE: ClusterProfile = {
  name: "east",
  id: 1,
  maxConnectedClusters: 255,
  etcdEndpoints: ["https://192.0.2.1:32379"],
  joinEndpoint: "192.0.2.1:32381",
};

let authority: Secret;
let root: string;
let transport: FakeTransport;
let clock: FakeClock;
let logged: string[];
let stop: AbortController;

beforeAll(async () => {
  const made = await createCertificateAuthority("east", NOW);
  const bundle = { authorities: [made.certificate] };
  authority = secretFromAuthority({ authority: made, bundle }, "mesh");
}, 60_000);

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-prepare-"));
  transport = createFakeTransport();
  clock = createFakeClock(NOW);
  logged = [];
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await rm(root, { recursive: true, force: true });
});

const directory = () => createObjectDirectory(root, { log: silentLogger });

function prepare(): Promise<ClusterProfile> {
  const log = createJsonLogger({ write: (line) => void logged.push(line), nowMs: clock.nowMs });
  const options = { transport, namespace: "mesh", root, directory: directory(), clock, log };
  return prepareDirectory(options, stop.signal);
}

function answerProfile(profile: object): void {
  const data = { "cluster.json": JSON.stringify(profile) };
  transport.answer(200, { metadata: { name: "tombolo-cluster" }, data });
}

function answerAuthority(): void {
  transport.answer(200, authority);
  transport.answer(404, {}); // The agents' Secret.
}

/** What a container that is restarted finds. */
async function fillDirectory(): Promise<void> {
  await directory().writeProfile(PROFILE);
  await initialisePki(clusterPaths(root).pki, { cluster: "east", nowMs: NOW });
}

describe("prepareDirectory()", () => {
  test("writes profile and authority", async () => {
    answerProfile(PROFILE);
    answerAuthority();
    expect(await prepare()).toEqual(PROFILE);
    expect(await readClusterProfile(root)).toEqual(PROFILE);
    await readAuthority(clusterPaths(root).pki);
    expect(transport.requests.map(({ path }) => path)).toEqual([
      "/api/v1/namespaces/mesh/configmaps/tombolo-cluster",
      "/api/v1/namespaces/mesh/secrets/tombolo-ca",
      "/api/v1/namespaces/mesh/secrets/tombolo-agent",
    ]);
  });

  test("asks the nodes for endpoints that the profile leaves out", async () => {
    answerProfile({ name: "east", id: 1 });
    const addresses = [{ type: "InternalIP", address: "192.0.2.9" }];
    const nodes = [{ metadata: { name: "n" }, status: { addresses } }];
    transport.answer(200, { metadata: { resourceVersion: "1" }, items: nodes });
    answerAuthority();
    expect((await prepare()).etcdEndpoints).toEqual(["https://192.0.2.9:32379"]);
  });

  test("waits for a profile in a new directory, and says so once a reason", async () => {
    for (let attempt = 0; attempt < 3; attempt++) transport.answer(404, {});
    const preparing = prepare();
    await eventually(async () => {
      await clock.advance(1_000);
      return transport.requests.length > 3;
    });
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain("tombolo-cluster");
    answerProfile(PROFILE);
    answerAuthority();
    expect(await preparing).toEqual(PROFILE);
  });

  test("goes on with what the directory has while the API server is away", async () => {
    await fillDirectory();
    transport.fail();
    transport.fail();
    expect(await prepare()).toEqual(PROFILE);
    expect(logged).toHaveLength(2);
  });

  test("keeps the identity of the directory's etcd", async () => {
    await fillDirectory();
    answerProfile({ ...PROFILE, name: "north", id: 7 });
    transport.fail();
    expect(await prepare()).toEqual(PROFILE);
    expect(await readClusterProfile(root)).toEqual(PROFILE);
  });

  test("fails for an authority that cannot be used where there is no other", async () => {
    answerProfile(PROFILE);
    transport.answer(200, { metadata: { name: "tombolo-ca" }, data: {} });
    await expect(prepare()).rejects.toThrow('"ca.crt" of Secret');
  });

  test("but not where there is one", async () => {
    await fillDirectory();
    const before = await readAuthority(clusterPaths(root).pki);
    answerProfile(PROFILE);
    transport.answer(200, { metadata: { name: "tombolo-ca" }, data: {} });
    await prepare();
    const after = await readAuthority(clusterPaths(root).pki);
    expect(after.certificate.fingerprint).toBe(before.certificate.fingerprint);
  });

  test("ends when it is told to", async () => {
    transport.answer(404, {});
    const preparing = prepare();
    await eventually(() => logged.length === 1);
    stop.abort();
    await expect(preparing).rejects.toMatchObject({ code: "aborted" });
  });
});
