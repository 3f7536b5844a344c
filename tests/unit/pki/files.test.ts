import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { cp, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeBundle, mergeBundles } from "../../../pki/bundle.ts";
import {
  initialisePki,
  pkiPaths,
  readAuthority,
  readBundle,
  readKeyedCertificate,
} from "../../../pki/files.ts";
import { createCertificateAuthority, LEAF_LIFETIME_MS } from "../../../pki/issue.ts";
import { readTree } from "../../fakes/cluster.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const options = { cluster: "east", nowMs: NOW_MS };
let root = "";
let directory = "";
let paths = pkiPaths("");

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-cn-pki-"));
  await initialisePki(join(root, "template"), options);
});

afterAll(() => rm(root, { recursive: true, force: true }));

beforeEach(async () => {
  directory = join(root, "pki");
  await rm(directory, { recursive: true, force: true });
  await cp(join(root, "template"), directory, { recursive: true });
  paths = pkiPaths(directory);
});

/** Which files differ between two trees. */
function changed(before: Record<string, string>, after: Record<string, string>): string[] {
  return Object.keys(after)
    .filter((path) => before[path] !== after[path])
    .sort();
}

describe("initialisePki()", () => {
  test("writes keys that only the owner reads", async () => {
    const tree = await readTree(directory);
    expect(Object.keys(tree).sort()).toEqual([
      "admin.crt",
      "admin.key",
      "ca-bundle.crt",
      "ca.crt",
      "ca.key",
      "local.crt",
      "local.key",
      "server.crt",
      "server.key",
    ]);
    for (const [path, entry] of Object.entries(tree)) {
      expect(`${path} ${entry.slice(0, 3)}`).toBe(`${path} ${path.endsWith(".key") ? 600 : 644}`);
    }
  });

  test("keeps what is valid", async () => {
    const before = await readTree(directory);
    await initialisePki(directory, options);
    expect(await readTree(directory)).toEqual(before);
  });

  const repairs: readonly [string, () => Promise<unknown>, readonly string[]][] = [
    ["a missing key", () => rm(paths.adminKey), ["admin.crt", "admin.key"]],
    [
      "a broken certificate",
      () => writeFile(paths.localCertificate, "x"),
      ["local.crt", "local.key"],
    ],
    [
      "a key of another certificate",
      () => cp(paths.adminKey, paths.serverKey),
      ["server.crt", "server.key"],
    ],
    ["a missing bundle", () => rm(paths.caBundle), ["ca-bundle.crt"]],
  ];
  for (const [name, spoil, replaced] of repairs) {
    test(`replaces ${name} and nothing else`, async () => {
      const before = await readTree(directory);
      await spoil();
      await initialisePki(directory, options);
      const after = await readTree(directory);
      expect(changed(before, after).filter((path) => !replaced.includes(path))).toEqual([]);
      const { serverCertificate, serverKey } = paths;
      await expect(readKeyedCertificate(serverCertificate, serverKey)).resolves.toBeDefined();
    });
  }

  test("renews leaves when a third of their life is left, and not the authority", async () => {
    const before = await readTree(directory);
    const nowMs = NOW_MS + (LEAF_LIFETIME_MS * 2) / 3 + 1000;
    await initialisePki(directory, { ...options, nowMs });
    expect(changed(before, await readTree(directory))).toEqual([
      "admin.crt",
      "admin.key",
      "local.crt",
      "local.key",
      "server.crt",
      "server.key",
    ]);
  });

  test("keeps further authorities in the bundle while they are valid", async () => {
    const next = await createCertificateAuthority("east", NOW_MS);
    const both = mergeBundles([
      await readBundle(paths.caBundle),
      { authorities: [next.certificate] },
    ]);
    await writeFile(paths.caBundle, encodeBundle(both));
    await initialisePki(directory, options);
    expect((await readBundle(paths.caBundle)).authorities).toHaveLength(2);
  });

  test("never replaces an authority that lost its key or expired", async () => {
    await rm(paths.caKey);
    await expect(initialisePki(directory, options)).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("ca.key"),
    });
    await cp(join(root, "template", "ca.key"), paths.caKey);
    const nowMs = NOW_MS + 20 * LEAF_LIFETIME_MS;
    await expect(initialisePki(directory, { ...options, nowMs })).rejects.toThrow(/it expired on/);
  });

  test("finishes a start that was cut off between key and certificate", async () => {
    await rm(paths.caCertificate);
    await rm(paths.caBundle);
    await initialisePki(directory, options);
    expect((await readAuthority(directory)).certificate.commonName).toBe("tombolo-ca-east");
  });
});

test("readKeyedCertificate() names the file that is not there, and quotes no key", async () => {
  await expect(readKeyedCertificate("/nowhere/a.crt", "/nowhere/a.key")).rejects.toMatchObject({
    code: "not_found",
    message: 'Cannot read "/nowhere/a.crt"',
  });
  await cp(paths.adminKey, paths.localKey);
  const key = await readFile(paths.localKey, "utf8");
  const attempt = readKeyedCertificate(paths.localCertificate, paths.localKey);
  await expect(attempt).rejects.toThrow("it is not the key of");
  await attempt.catch((error: Error) => expect(error.message).not.toContain(key.slice(30, 80)));
  expect((await stat(paths.localKey)).mode & 0o777).toBe(0o600);
});
