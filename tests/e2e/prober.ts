// Starts deploy/lab/workload/prober.ts in a place of the lab and talks with it.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createCgroup } from "../../deploy/lab/cgroups.ts";
import { nodeArgv } from "../../deploy/lab/daemons.ts";
import type { LabPlace } from "../../deploy/lab/enter.ts";
import { enteringArgv } from "../../deploy/lab/processes.ts";

const PROGRAM = fileURLToPath(new URL("../../deploy/lab/workload/prober.ts", import.meta.url));

export interface ProbeTarget {
  readonly protocol: "TCP" | "UDP" | "ICMP" | "ICMPv6";
  readonly address: string;
  /** Of ICMP nothing: it is asked by echo requests. */
  readonly port: number;
  /** Sent from this address; the kernel's choice by default. */
  readonly from?: string;
}

export interface Prober {
  /** Which of them answered in time, in their order. All are asked at once. */
  ask(targets: readonly ProbeTarget[], limitMs: number): Promise<readonly boolean[]>;
  stop(): Promise<void>;
}

/** `addresses`: its own, of a place that has several of a family. */
export async function startProber(
  place: LabPlace,
  ports: readonly { readonly protocol: string; readonly port: number }[],
  addresses: readonly string[] = [],
): Promise<Prober> {
  await createCgroup(place.cgroup);
  const listen = ports.flatMap(({ protocol, port }) => ["--listen", `${protocol}:${port}`]);
  const own = addresses.flatMap((address) => ["--address", address]);
  const argv = nodeArgv(PROGRAM, [...listen, ...own]);
  const [program, ...args] = enteringArgv({ ...place, argv });
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const waiting = new Map<number, PromiseWithResolvers<readonly boolean[]>>();
  const ready = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  child.once("error", (error) => ready.reject(error));
  child.once("close", (status) => {
    const error = new Error(`The prober in ${place.namespace} ended with status ${status}`);
    ready.reject(error);
    for (const { reject } of waiting.values()) reject(error);
    closed.resolve();
  });
  child.stdin.on("error", () => child.stdin.destroy());
  createInterface({ input: child.stdout }).on("line", (line) => {
    const said = JSON.parse(line) as { id?: number; answered?: readonly boolean[] };
    if (said.id === undefined) ready.resolve();
    else waiting.get(said.id)?.resolve(said.answered ?? []);
  });
  await ready.promise;
  let last = 0;
  return {
    async ask(targets, limitMs) {
      if (targets.length === 0) return [];
      const id = ++last;
      const answer = Promise.withResolvers<readonly boolean[]>();
      waiting.set(id, answer);
      child.stdin.write(`${JSON.stringify({ id, limitMs, targets })}\n`);
      try {
        return await answer.promise;
      } finally {
        waiting.delete(id);
      }
    },
    async stop() {
      child.stdin.end();
      await closed.promise;
    },
  };
}
