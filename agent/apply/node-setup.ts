// Follows our own node's record: gives the node its MTU and router addresses, and tells the CNI
// plugin about it in a file, so that the plugin works while the agent does not.
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, MeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { MeshNode } from "../../mesh/core/node.ts";
import type { Table } from "../../mesh/core/table.ts";
import { planCniNode, type CniNode } from "../plan/plan-routes.ts";
import type { NodeDevices } from "./node-devices.ts";

export interface NodeSetupOptions {
  readonly nodes: Table<MeshNode>;
  readonly nodeName: string;
  readonly underlayMtu: number;
  readonly bpfRoot: string;
  /** Another plugin gives this node's pods their addresses. */
  readonly foreignAddresses?: boolean;
  readonly stateDirectory: string;
  readonly devices: NodeDevices;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface NodeSetup {
  /** What was last applied; undefined before. */
  current(): CniNode | undefined;
  /** Resolves once something has been applied, or when the signal aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** Read by the plugin (agent/cni/node-file.ts). */
export const CNI_NODE_FILE = "cni-node.json";
const RETRY_MS = 1_000;

export function createNodeSetup(options: NodeSetupOptions): NodeSetup {
  const { nodes, nodeName, devices, log } = options;
  const first = Promise.withResolvers<void>();
  let current: CniNode | undefined;

  async function apply(node: MeshNode, signal: AbortSignal): Promise<void> {
    const wanted = planCniNode(node, options);
    if (wanted === undefined || JSON.stringify(wanted) === JSON.stringify(current)) return;
    await devices.configure(wanted, signal);
    await writeNodeFile(options.stateDirectory, wanted);
    current = wanted;
    first.resolve();
    log.info("Node is set up for pods", { podPrefixes: wanted.podPrefixes, mtu: wanted.mtu });
  }

  return {
    current: () => current,
    async ready(signal) {
      const aborted = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => aborted.resolve(), { once: true });
      if (!signal.aborted) await Promise.race([first.promise, aborted.promise]);
    },
    async run(signal) {
      for await (const _ of nodes.changes(signal)) {
        let done = false;
        while (!done && !signal.aborted) {
          // A node that is no longer exported still runs: keep what was set up.
          const node = nodes.get(nodeName);
          try {
            if (node !== undefined) await apply(node, signal);
            done = true;
          } catch (error) {
            if (signal.aborted) return;
            log.warn("Node could not be set up", { error });
            await sleepUnlessAborted(options.clock, signal);
          }
        }
      }
    },
  };
}

/** Replaces the file as a whole: the plugin sees the old or the new one. */
async function writeNodeFile(directory: string, node: CniNode): Promise<void> {
  const path = join(directory, CNI_NODE_FILE);
  const temporary = `${path}.new`;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(temporary, `${JSON.stringify(node, null, 2)}\n`, { mode: 0o600 });
    await rename(temporary, path);
  } catch (cause) {
    throw new MeshError("unavailable", `Cannot write node file "${path}"`, { cause });
  }
}

async function sleepUnlessAborted(clock: Clock, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(RETRY_MS, signal);
  } catch (error) {
    if (!isMeshError(error, "aborted")) throw error;
  }
}
