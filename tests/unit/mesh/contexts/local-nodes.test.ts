import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLocalNode, listLocalNodes } from "../../../../mesh/contexts/local-nodes.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tombolo-local-nodes-"));
});
afterEach(() => rmSync(home, { recursive: true }));

function addNode(name: string, contents: object): void {
  mkdirSync(join(home, "nodes"), { recursive: true });
  writeFileSync(join(home, "nodes", `${name}.json`), JSON.stringify(contents));
}

const find = (node?: string): Promise<string> =>
  findLocalNode("socket", { home, node, instead: "--socket PATH" });

describe("findLocalNode()", () => {
  test("takes the only node when none is named, and the named one of several", async () => {
    addNode("a", { socket: "/run/a.sock" });
    expect(await find()).toBe("/run/a.sock");
    addNode("b", { socket: "/run/b.sock" });
    expect(await find("b")).toBe("/run/b.sock");
  });

  test("says what to name, and what there is", async () => {
    await expect(find()).rejects.toMatchObject({
      code: "invalid_argument",
      message: "Cannot choose a node: want --node NAME or --socket PATH",
      hint: "`mesh lab up` makes some",
    });
    addNode("a", {});
    addNode("b", { socket: "/run/b.sock" });
    await expect(find("../b")).rejects.toMatchObject({
      code: "not_found",
      hint: "there are: a, b",
    });
    await expect(find("a")).rejects.toMatchObject({ code: "data_loss" });
  });
});

test("listLocalNodes() gives the path of every node, none where there are none", async () => {
  expect(await listLocalNodes("socket", { home })).toEqual([]);
  addNode("b", { socket: "/run/b.sock" });
  addNode("a", { socket: "/run/a.sock" });
  expect(await listLocalNodes("socket", { home })).toEqual([
    { node: "a", path: "/run/a.sock" },
    { node: "b", path: "/run/b.sock" },
  ]);
});
