import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterToken } from "../../../../apiserver/etcd/cluster-token.ts";

let directory: string;
const paths = () => ({ data: join(directory, "etcd"), clusterToken: join(directory, "token") });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-token-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe("clusterToken()", () => {
  test("stays while the data stays", async () => {
    const first = await clusterToken(paths());
    await mkdir(join(paths().data, "member"), { recursive: true });
    expect(await clusterToken(paths())).toBe(first);
  });

  test("is another one once the data is gone", async () => {
    const first = await clusterToken(paths());
    await mkdir(join(paths().data, "member"), { recursive: true });
    await rm(paths().data, { recursive: true });
    expect(await clusterToken(paths())).not.toBe(first);
  });
});
