import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import type { MeshNode } from "../../../../mesh/core/node.ts";
import { createTable } from "../../../../mesh/core/table.ts";
import type { NodeDevices } from "../../../../agent/apply/node-devices.ts";
import { CNI_NODE_FILE, createNodeSetup } from "../../../../agent/apply/node-setup.ts";
import { parseNodeFile } from "../../../../agent/cni/node-file.ts";
import { EAST, testNode } from "../../../fakes/agent-cluster.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { eventually } from "../../../fakes/eventually.ts";

const NODE = testNode(EAST, {
  name: "east-1",
  addresses: ["172.16.1.1"],
  podPrefixes: ["10.1.1.0/24"],
});

describe("createNodeSetup()", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "tombolo-setup-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  function start(configure: NodeDevices["configure"]) {
    const nodes = createTable<MeshNode>({ name: "nodes" });
    const clock = createFakeClock();
    const setup = createNodeSetup({
      nodes,
      nodeName: "east-1",
      underlayMtu: 1500,
      bpfRoot: "/sys/fs/bpf/tombolo",
      stateDirectory: join(directory, "state"),
      devices: { ensureOverlay: () => Promise.resolve(1), configure },
      clock,
      log: silentLogger,
    });
    const end = new AbortController();
    const done = setup.run(end.signal);
    const stop = async (): Promise<void> => {
      end.abort();
      await done;
    };
    return { nodes, clock, setup, stop };
  }

  test("sets the node up and tells the CNI plugin, in words that it understands", async () => {
    const configured: unknown[] = [];
    const { nodes, setup, stop } = start(async (node) => void configured.push(node));
    nodes.put("east-2", { ...NODE, name: "east-2" });
    nodes.put("east-1", NODE);
    await eventually(() => setup.current() !== undefined);
    const file = await readFile(join(directory, "state", CNI_NODE_FILE), "utf8");
    expect(parseNodeFile(JSON.parse(file))).toMatchObject({ nodeName: "east-1", mtu: 1450 });
    expect(configured).toMatchObject([{ mtu: 1450, routerAddresses: ["10.1.1.1"] }]);
    await stop();
  });

  test("waits for a pod prefix, does nothing twice, and keeps a node that is gone", async () => {
    let calls = 0;
    const { nodes, clock, setup, stop } = start(async () => void calls++);
    nodes.put("east-1", { ...NODE, podPrefixes: [] });
    await clock.settle();
    expect(setup.current()).toBeUndefined();
    nodes.put("east-1", NODE);
    await eventually(() => setup.current() !== undefined);
    nodes.put("east-1", { ...NODE, labels: new Map([["a", "b"]]) });
    nodes.delete("east-1");
    await clock.settle();
    expect([calls, setup.current()?.podPrefixes]).toEqual([1, ["10.1.1.0/24"]]);
    await stop();
  });

  test("tries again when the kernel refuses", async () => {
    let calls = 0;
    const { nodes, clock, setup, stop } = start(async () => {
      if (calls++ === 0) throw new Error("busy");
    });
    nodes.put("east-1", NODE);
    await clock.settle();
    expect(setup.current()).toBeUndefined();
    let ready = false;
    const waiting = setup.ready(new AbortController().signal).then(() => (ready = true));
    await clock.settle();
    expect(ready).toBe(false);
    await clock.advance(1_000);
    await waiting;
    expect(setup.current()).toBeDefined();
    await setup.ready(AbortSignal.abort());
    await stop();
  });
});
