import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  kubeconfigPaths,
  listKubeconfigContexts,
} from "../../../../mesh/kubernetes/kubeconfig-contexts.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-kubeconfig-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function write(file: string, text: string): Promise<string> {
  const path = join(directory, file);
  await writeFile(path, text);
  return path;
}

describe("listKubeconfigContexts()", () => {
  test("lists every name once; the first file that names one wins", async () => {
    const one = await write("one", "contexts: [{name: a}, {name: b}]\ncurrent-context: b\n");
    const two = await write("two", "contexts: [{name: b}, {name: c}]\ncurrent-context: c\n");
    expect(await listKubeconfigContexts([one, join(directory, "none"), two])).toEqual([
      { name: "a", kubeconfig: one, current: false },
      { name: "b", kubeconfig: one, current: true },
      { name: "c", kubeconfig: two, current: false },
    ]);
  });

  test("takes files without contexts for what they are", async () => {
    const empty = await write("empty", "");
    const odd = await write("odd", "contexts: [null, {name: 7}]\ncurrent-context: ''\n");
    expect(await listKubeconfigContexts([empty, odd])).toEqual([]);
  });

  test("names a file that is no YAML, and one that cannot be read", async () => {
    const broken = await write("broken", "contexts: [");
    await expect(listKubeconfigContexts([broken])).rejects.toMatchObject({
      code: "invalid_argument",
      message: `Cannot parse kubeconfig "${broken}" as YAML`,
    });
    await expect(listKubeconfigContexts([directory])).rejects.toMatchObject({
      code: "not_found",
      message: `Cannot read kubeconfig "${directory}"`,
    });
  });
});

describe("kubeconfigPaths()", () => {
  test("follows kubectl", () => {
    expect(kubeconfigPaths({ KUBECONFIG: "/a::/b", HOME: "/root" })).toEqual(["/a", "/b"]);
    expect(kubeconfigPaths({ KUBECONFIG: "", HOME: "/home/me" })).toEqual([
      "/home/me/.kube/config",
    ]);
    expect(kubeconfigPaths({})).toEqual([]);
  });
});
