import { describe, expect, test } from "@jest/globals";
import { createNodeObserve } from "../../../../agent/observe/observe.ts";
import type { CounterName } from "../../../../bpf/datapath.ts";
import type { FlowRecord } from "../../../../bpf/gen/layout.ts";
import type { ObserveRequest, Observed } from "../../../../mesh/api/policy-messages.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { flowRecord } from "../../../fakes/flow-records.ts";
import { CART, startPolicyNode } from "../../../fakes/policy-node.ts";

const EVERYTHING: ObserveRequest = {
  last: 0,
  follow: false,
  clusters: [],
  namespaces: [],
  pods: [],
  labels: [],
  verdicts: [],
  protocols: [],
  ports: [],
};

async function start(parts: { readonly lost?: bigint } = {}) {
  const node = startPolicyNode();
  node.addPod("cart-1", CART, 12);
  await node.sync();
  const kernel = { records: [] as FlowRecord[], lost: parts.lost ?? 0n, fails: false, reads: 0 };
  const warnings: string[] = [];
  const observe = createNodeObserve({
    ...node.parts,
    records: {
      read(limit) {
        kernel.reads++;
        if (kernel.fails) throw new MeshError("internal", "Cannot read");
        return kernel.records.splice(0, limit);
      },
    },
    counters: { read: () => new Map<CounterName, bigint>([["flowRecordsLost", kernel.lost]]) },
    kernelNowNs: () => 5_000_000_000n + BigInt(Math.round(node.clock.monotonicMs() * 1e6)),
    log: { ...silentLogger, warn: (message) => void warnings.push(message) },
  });
  const end = new AbortController();
  const done = Promise.all(observe.tasks.map((task) => task.run(end.signal)));
  const caller = new AbortController();
  const seen: Observed[] = [];
  async function ask(request: Partial<ObserveRequest>): Promise<void> {
    const context = { signal: caller.signal };
    for await (const one of observe.observe({ ...EVERYTHING, ...request }, context)) seen.push(one);
  }
  return {
    node,
    kernel,
    observe,
    warnings,
    caller,
    seen,
    ask,
    async [Symbol.asyncDispose]() {
      end.abort();
      await done;
      await node[Symbol.asyncDispose]();
    },
  };
}

const ports = (seen: readonly Observed[]) =>
  seen.map(({ flow, lost }) => flow?.source?.port ?? `lost ${lost}`);

describe("createNodeObserve()", () => {
  test("answers with the past, by the wall's clock, and ends", async () => {
    await using running = await start();
    const { kernel, node, ask, seen } = running;
    const atMs = node.clock.nowMs();
    const nowNs = 5_000_000_000n + BigInt(node.clock.monotonicMs() * 1e6);
    kernel.records.push(flowRecord({ timeNs: nowNs - 250_000_000n, sourcePort: 1 }));
    kernel.records.push(flowRecord({ timeNs: nowNs, sourcePort: 2 }));
    await node.clock.advance(100);
    await ask({ last: 10 });
    expect(ports(seen)).toEqual([1, 2]);
    expect(seen.map(({ flow }) => Math.round((flow?.timeMs ?? 0) - atMs))).toEqual([-250, 0]);
    expect(running.observe.status()).toEqual({ records: 2, overrun: 0, listeners: 0 });
  });

  test("follows from the past without a gap until the caller hangs up", async () => {
    await using running = await start();
    const { kernel, node, ask, seen, observe, caller } = running;
    kernel.records.push(flowRecord({ sourcePort: 1 }));
    await node.clock.advance(100);
    const asked = ask({ last: 1, follow: true, ports: [8_080] });
    await node.clock.settle();
    kernel.records.push(flowRecord({ sourcePort: 2 }));
    kernel.records.push(flowRecord({ sourcePort: 3, destinationPort: 9 }));
    await node.clock.advance(100);
    kernel.records.push(flowRecord({ sourcePort: 4 }));
    await node.clock.advance(100);
    expect(ports(seen)).toEqual([1, 2, 4]);
    expect(observe.status().listeners).toBe(1);
    caller.abort();
    await asked;
    expect(observe.status().listeners).toBe(0);
  });

  test("tells what the kernel has lost since the agent has started", async () => {
    await using running = await start({ lost: 100n });
    const { kernel, node, ask, seen } = running;
    kernel.records.push(flowRecord({ sourcePort: 1 }));
    await node.clock.advance(100);
    kernel.lost = 107n;
    await node.clock.advance(100);
    kernel.records.push(flowRecord({ sourcePort: 2 }));
    await node.clock.advance(100);
    await ask({ last: 10 });
    expect(ports(seen)).toEqual([1, "lost 7", 2]);
  });

  test("reads all that there is in batches, and leaves the rest to the next look", async () => {
    await using running = await start();
    const { kernel, node, observe } = running;
    kernel.records.push(...Array.from({ length: 11_000 }, () => flowRecord()));
    await node.clock.advance(99);
    kernel.reads = 0;
    await node.clock.advance(1);
    expect(kernel.reads).toBe(10);
    expect(observe.status().records).toBe(10_240);
    await node.clock.advance(100);
    expect(observe.status().records).toBe(11_000);
  });

  test("goes on when records cannot be read, and says so once", async () => {
    await using running = await start();
    const { kernel, node, warnings, observe } = running;
    kernel.fails = true;
    await node.clock.advance(300);
    expect(warnings).toEqual(["Flow records cannot be read"]);
    kernel.fails = false;
    kernel.records.push(flowRecord());
    await node.clock.advance(100);
    expect(observe.status().records).toBe(1);
  });

  test("refuses what cannot be selected", async () => {
    await using running = await start();
    await expect(running.ask({ verdicts: ["allowed"] })).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });
});
