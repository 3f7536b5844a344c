import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRememberedAccess } from "../../../../agent/kubernetes/remembered-access.ts";

describe("createRememberedAccess()", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "tombolo-remembered-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  test("knows nothing at first, and endpoints once they were written", async () => {
    const remembered = createRememberedAccess(directory);
    expect(await remembered.readEndpoints()).toEqual([]);
    expect(await remembered.hasCertificates()).toBe(false);
    await remembered.writeEndpoints(["https://10.0.0.1:32379"]);
    expect(await remembered.readEndpoints()).toEqual(["https://10.0.0.1:32379"]);
    await writeFile(join(directory, "endpoints.json"), "[");
    expect(await remembered.readEndpoints()).toEqual([]);
  });

  test("refuses a Secret without its parts, and one whose parts do not fit", async () => {
    const remembered = createRememberedAccess(directory);
    const metadata = { name: "tombolo-agent", namespace: "ns" };
    await expect(remembered.writeCertificates({ metadata })).rejects.toMatchObject({
      code: "invalid_argument",
      message: 'Cannot use Secret "ns/tombolo-agent": it has no "ca-bundle.crt"',
    });
    const data = { "ca-bundle.crt": "eA==", "local.crt": "eA==", "local.key": "eA==" };
    await expect(remembered.writeCertificates({ metadata, data })).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("do not fit together"),
    });
    expect(await remembered.hasCertificates()).toBe(false);
  });
});
