import { expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLocalNode } from "../../../../mesh/contexts/local-nodes.ts";
import { writeLocalNodeFile } from "../../../../agent/node/local-node-file.ts";

test("writeLocalNodeFile() writes what the commands read", async () => {
  const home = await mkdtemp(join(tmpdir(), "tombolo-home-"));
  await writeLocalNodeFile(home, { nodeName: "n1", socket: "/run/a.sock", bpfRoot: "/bpf" });
  const options = { home, node: undefined, instead: "--socket" };
  expect(await findLocalNode("socket", options)).toBe("/run/a.sock");
  expect(await findLocalNode("bpfRoot", options)).toBe("/bpf");
  await rm(home, { recursive: true });
});
