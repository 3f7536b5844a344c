import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import {
  clusterPaths,
  parseClusterProfile,
  readClusterProfile,
} from "../../../../mesh/contexts/cluster-directory.ts";

const PROFILE = {
  name: "east",
  id: 1,
  maxConnectedClusters: 255,
  etcdEndpoints: ["https://10.0.0.1:2379"],
  joinEndpoint: "10.0.0.1:7443",
};

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-cluster-directory-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("clusterPaths()", () => {
  test("puts everything below the root", () => {
    for (const path of Object.values(clusterPaths("/srv/east"))) {
      expect(path.startsWith("/srv/east")).toBe(true);
    }
  });
});

describe("readClusterProfile()", () => {
  test("reads cluster.json", async () => {
    await writeFile(clusterPaths(root).profile, JSON.stringify(PROFILE));
    expect(await readClusterProfile(root)).toEqual(PROFILE);
  });

  test("names the file that is not there", async () => {
    await expect(readClusterProfile(join(root, "gone"))).rejects.toMatchObject({
      code: "not_found",
      message: `Cannot read cluster profile "${join(root, "gone", "cluster.json")}"`,
    });
  });
});

describe("parseClusterProfile()", () => {
  const parse = (fields: object): unknown =>
    parseClusterProfile(JSON.stringify({ ...PROFILE, ...fields }), "cluster.json");

  test("has 255 clusters at most unless it says 511", () => {
    expect(parse({ maxConnectedClusters: undefined })).toMatchObject({ maxConnectedClusters: 255 });
    expect(parse({ maxConnectedClusters: 511, id: 400 })).toMatchObject({ id: 400 });
  });

  for (const [fields, reason] of [
    [{ name: "East" }, /as cluster name/],
    [{ name: undefined }, /as cluster name/],
    [{ id: 0 }, /as cluster id/],
    [{ id: 400 }, /as cluster id/],
    [{ maxConnectedClusters: 300 }, /as maxConnectedClusters/],
    [{ etcdEndpoints: [] }, /"etcdEndpoints" of "cluster.json"/],
    [{ etcdEndpoints: ["http://10.0.0.1:2379"] }, /"etcdEndpoints" of "cluster.json"/],
    [{ etcdEndpoints: [7] }, /"etcdEndpoints" of "cluster.json"/],
    [{ joinEndpoint: "10.0.0.1" }, /"joinEndpoint" of "cluster.json"/],
    [{ joinEndpoint: 7 }, /"joinEndpoint" of "cluster.json"/],
  ] as const) {
    test(`refuses ${JSON.stringify(fields)}`, () => {
      expect(() => parse(fields)).toThrow(reason);
    });
  }

  for (const text of ["", "{", "null", "7"]) {
    test(`refuses ${JSON.stringify(text)} and names the file`, () => {
      expect(() => parseClusterProfile(text, "cluster.json")).toThrow(
        /Cannot parse cluster profile "cluster.json"/,
      );
    });
  }
});
