// Reading the client's certificate files.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMeshError } from "../../../../mesh/core/errors.ts";
import { readTlsFiles, type TlsFiles } from "../../../../mesh/kvstore/tls.ts";
import { initialisePki, type PkiPaths } from "../../../../pki/files.ts";

describe("readTlsFiles()", () => {
  let directory: string;
  let paths: PkiPaths;
  let files: TlsFiles;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "tombolo-kv-tls-"));
    paths = await initialisePki(directory, { cluster: "east", nowMs: Date.now() });
    files = {
      caFile: paths.caBundle,
      certFile: paths.adminCertificate,
      keyFile: paths.adminKey,
    };
  }, 60_000);
  afterEach(() => rm(directory, { recursive: true, force: true }));

  test("tells by the fingerprint whether anything has changed", async () => {
    const before = await readTlsFiles(files);
    expect((await readTlsFiles(files)).fingerprint).toBe(before.fingerprint);
    await copyFile(paths.localCertificate, paths.adminCertificate);
    await copyFile(paths.localKey, paths.adminKey);
    expect((await readTlsFiles(files)).fingerprint).not.toBe(before.fingerprint);
  }, 60_000);

  for (const [name, spoil] of [
    ["is missing", () => rm(files.certFile)],
    ["is cut off", () => writeFile(files.certFile, "-----BEGIN CERTIFICATE-----\nMII")],
    ["is another one's", () => copyFile(paths.localKey, files.keyFile)],
  ] as const)
    test(`rejects with \`unavailable\` while a file ${name}, because a rotation looks like that`, async () => {
      await spoil();
      const error = await readTlsFiles(files).catch((reason: unknown) => reason);
      expect(isMeshError(error, "unavailable")).toBe(true);
      expect(String(error)).not.toContain("PRIVATE KEY");
    }, 60_000);
});
