import { describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  openCluster,
  parseTimeoutMs,
  settingTexts,
  summarize,
} from "../../../../mesh/commands/install-options.ts";
import { createTestContext } from "../../../fakes/command-context.ts";

test("settingTexts() takes settings that were given, and nothing else", () => {
  expect(settingTexts({ mtu: "9000", image: undefined, force: true, timeout: "5" })).toEqual({
    mtu: "9000",
  });
});

test("parseTimeoutMs() takes seconds", () => {
  expect(parseTimeoutMs(undefined)).toBe(300_000);
  expect(parseTimeoutMs("5")).toBe(5_000);
  for (const text of ["0", "5s", "-1", "100000"]) {
    expect(() => parseTimeoutMs(text)).toThrow(`Cannot use --timeout "${text}"`);
  }
});

test("summarize() counts what became of objects", () => {
  const change = (outcome: "created" | "unchanged") => ({ object: "x", outcome });
  expect(summarize([change("unchanged"), change("created"), change("unchanged")])).toBe(
    "1 created, 2 unchanged",
  );
  expect(summarize([])).toBe("nothing to do");
});

describe("openCluster()", () => {
  test("says which contexts there are when the wanted one is not", async () => {
    const directory = await mkdtemp(join(tmpdir(), "tombolo-io-"));
    const kubeconfig = join(directory, "config");
    await writeFile(kubeconfig, "contexts: [{name: east}, {name: west}]\n");
    const context = createTestContext(directory);
    await expect(openCluster({ kubeconfig, context: "north" }, context)).rejects.toThrow(
      `Cannot find context "north" in kubeconfig ${kubeconfig}: it has east, west`,
    );
    await expect(openCluster({ kubeconfig }, context)).rejects.toThrow(
      "Cannot find a current context in kubeconfig",
    );
    await rm(directory, { recursive: true });
  });
});
