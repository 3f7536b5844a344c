// Our certificates against a real etcd: who gets in, as whom, and who does not.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createEtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import { applyAuth } from "../../mesh/kvstore/etcd-auth.ts";
import type { TlsFiles } from "../../mesh/kvstore/tls.ts";
import { pkiPaths, readAuthority } from "../../pki/files.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { issueRemote } from "../../pki/issue.ts";
import { generatePrivateKey, LEAF_KEY_BITS } from "../../pki/private-key.ts";
import { createSigningRequest } from "../../pki/signing-request.ts";
import { createTestCluster, type TestCluster } from "../fakes/cluster.ts";

const run = promisify(execFile);
const signal = new AbortController().signal;
let east: TestCluster;
let west: TestCluster;

beforeAll(async () => {
  [east, west] = await Promise.all([
    createTestCluster({ name: "east", id: 1, etcd: true }),
    createTestCluster({ name: "west", id: 2 }),
  ]);
  await east.put("cilium/state/ip/v1/default/10.1.0.1", "{}");
  await east.put("cilium/cache/ip/v1/north/10.3.0.1", "{}");
  const connection = {
    endpoints: [east.etcd?.endpoint ?? ""],
    serverName: meshServerName("east"),
    tls: ownFiles("admin"),
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
  };
  await applyAuth({ ...connection, cluster: "east", remotes: ["west"] }, signal);
}, 60_000);

afterAll(async () => {
  await east.close();
  await west.close();
});

function ownFiles(user: "admin" | "local"): TlsFiles {
  const paths = pkiPaths(join(east.directory, "pki"));
  return user === "admin"
    ? { caFile: paths.caBundle, certFile: paths.adminCertificate, keyFile: paths.adminKey }
    : { caFile: paths.caBundle, certFile: paths.localCertificate, keyFile: paths.localKey };
}

/** A client certificate of `reader` signed by the authority of `signer`. */
async function remoteFiles(signer: TestCluster, reader: string): Promise<TlsFiles> {
  const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
  const certificate = issueRemote(await readAuthority(join(signer.directory, "pki")), {
    reader,
    request: createSigningRequest(reader, privateKey),
    nowMs: Date.now(),
  });
  const at = join(west.directory, `${signer.name}-${reader}`);
  await writeFile(`${at}.key`, privateKey.encodePem(), { mode: 0o600 });
  await writeFile(`${at}.crt`, certificate.pem);
  const { caBundle } = pkiPaths(join(east.directory, "pki"));
  return { caFile: caBundle, certFile: `${at}.crt`, keyFile: `${at}.key` };
}

async function read(tls: TlsFiles, options: { key: string; serverName?: string }) {
  const store = createEtcdStore({
    endpoints: [east.etcd?.endpoint ?? ""],
    serverName: options.serverName ?? meshServerName("east"),
    tls,
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
  });
  try {
    return (await store.get(options.key, signal))?.value.toString();
  } finally {
    store.close();
  }
}

const STATE = "cilium/state/ip/v1/default/10.1.0.1";
const CACHE = "cilium/cache/ip/v1/north/10.3.0.1";

describe("certificates against etcd with authentication on", () => {
  test("admin may do everything", async () => {
    expect(await read(ownFiles("admin"), { key: CACHE })).toBe("{}");
  });

  test("local reads the cache", async () => {
    expect(await read(ownFiles("local"), { key: CACHE })).toBe("{}");
  });

  test("remote-west reads what east exports, and not what others told east", async () => {
    const tls = await remoteFiles(east, "west");
    expect(await read(tls, { key: STATE })).toBe("{}");
    await expect(read(tls, { key: CACHE })).rejects.toMatchObject({ code: "permission_denied" });
  });

  test("a remote that was not admitted is nobody", async () => {
    const tls = await remoteFiles(east, "stranger");
    await expect(read(tls, { key: STATE })).rejects.toThrow();
  });

  test("a certificate that west's authority signed does not get into east", async () => {
    const tls = await remoteFiles(west, "west");
    await expect(read(tls, { key: STATE })).rejects.toThrow();
  });

  test("the server is not believed under another domain", async () => {
    const serverName = "east.example.org";
    await expect(read(ownFiles("admin"), { key: STATE, serverName })).rejects.toThrow();
  });

  test("etcd's own client agrees", async () => {
    const { caFile, certFile, keyFile } = ownFiles("admin");
    const endpoint = east.etcd?.endpoint ?? "";
    const words = `--endpoints ${endpoint} --cacert ${caFile} --cert ${certFile} --key ${keyFile}`;
    const args = `${words} get --print-value-only ${STATE}`.split(" ");
    const { stdout } = await run("etcdctl", args, { env: { ETCDCTL_API: "3" } });
    expect(stdout.trim()).toBe("{}");
  });

  test("openssl agrees, strictly", async () => {
    const paths = pkiPaths(join(east.directory, "pki"));
    const words = `verify -x509_strict -purpose sslserver -CAfile ${paths.caBundle}`;
    const { stdout } = await run("openssl", [...words.split(" "), paths.serverCertificate]);
    expect(stdout).toContain("OK");
  });
});
