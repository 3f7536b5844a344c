import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  formatHostPort,
  nameOfNumber,
  parseBpfRequest,
} from "../../../../mesh/commands/bpf-node.ts";

const USAGE = "Usage: mesh bpf services\n";
let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tombolo-bpf-node-"));
});
afterEach(() => rmSync(home, { recursive: true }));

function addNode(name: string, contents: object): void {
  mkdirSync(join(home, "nodes"), { recursive: true });
  writeFileSync(join(home, "nodes", `${name}.json`), JSON.stringify(contents));
}

const parse = (...args: string[]): ReturnType<typeof parseBpfRequest> =>
  parseBpfRequest(args, { home, usage: USAGE });

describe("parseBpfRequest()", () => {
  test("takes a directory as it is", async () => {
    expect(await parse("--bpf-root", "/b", "--output", "json")).toEqual({
      bpfRoot: "/b",
      format: "json",
    });
  });

  test("finds a node by its name, and an only node without", async () => {
    addNode("east-1", { bpfRoot: "/run/east-1" });
    expect(await parse()).toEqual({ bpfRoot: "/run/east-1", format: "table" });
    addNode("east-2", { bpfRoot: "/run/east-2" });
    expect((await parse("--node", "east-2")).bpfRoot).toBe("/run/east-2");
  });

  test("has a sentence for each mistake", async () => {
    await expect(parse()).rejects.toThrow("Cannot choose a node: want --node NAME");
    addNode("east-1", { bpfRoot: "/run/east-1" });
    addNode("east-2", {});
    await expect(parse()).rejects.toMatchObject({ hint: "there are: east-1, east-2" });
    for (const [args, sentence] of [
      [["--node", "../x"], 'Cannot find node "../x"'],
      [["--node", "west-1"], 'Cannot find node "west-1"'],
      [["--node", "east-2"], "it names no bpfRoot"],
      [["--node", "a", "--bpf-root", "/b"], "Cannot use --node with --bpf-root"],
      [["east-1"], 'Cannot use "east-1": name a node with --node'],
      [["--bpf-root", "/b", "--output", "xml"], 'Cannot use --output "xml"'],
      [["--colour"], "Cannot understand the arguments"],
    ] as const)
      await expect(parse(...args)).rejects.toThrow(sentence);
  });
});

test("formatHostPort() brackets IPv6", () => {
  expect(formatHostPort("10.0.0.1", 80)).toBe("10.0.0.1:80");
  expect(formatHostPort("fd00::1", 80)).toBe("[fd00::1]:80");
});

test("nameOfNumber() shows a number that it does not know", () => {
  expect(nameOfNumber({ down: 1 }, 1)).toBe("down");
  expect(nameOfNumber({ down: 1 }, 2)).toBe("2");
});
