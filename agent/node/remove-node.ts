// Takes everything of Tombolo from a node: for nodes that leave, after the agent has ended. Every
// step finds what is there and is success where nothing is, so it can be run again; what one step
// cannot do keeps none of the others from being done.
import { access, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { detachPod, removeDatapath } from "../../bpf/datapath.ts";
import { interfaceIndexFromName } from "../../bpf/tc.ts";
import { isMeshError, messageFromError, MeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { findCgroupPath } from "../apply/cgroup-place.ts";
import { createIpCommand, type IpCommand } from "../apply/ip-command.ts";
import { HOST_DEVICE } from "../apply/node-devices.ts";
import { ROUTE_PROTOCOL } from "../apply/route-operations.ts";
import type { AddressRecord } from "../cni/address-book.ts";
import { ADDRESS_BOOK, openNodeAddressBook } from "../cni/node-address-book.ts";
import { HOST_INTERFACE_NAME } from "../cni/wiring.ts";
import type { AgentConfig } from "../config.ts";
import { removeCanaryCgroup } from "../drill/canaries.ts";
import { removeMasquerade } from "../masquerade/masquerade.ts";
import { CONFLIST_NAME } from "./conflist.ts";
import { uninstallPlugin } from "./install-plugin.ts";
import { localNodeFile } from "./local-node-file.ts";

interface Step {
  readonly what: string;
  run(signal: AbortSignal): Promise<void>;
}

export interface RemoveNodeOptions {
  readonly config: AgentConfig;
  /** Where the agent has told `mesh` of the node, if it has. */
  readonly home: string | undefined;
  /** Directories of ours on the node, as they are seen from here, to remove once they are empty. */
  readonly directories?: readonly string[];
  readonly log: Logger;
}

/** Made by the plugin's script beside the state: Node's own, quicker the next time. */
const COMPILE_CACHE = "compile-cache";

/** Throws `unavailable` with everything that is left. */
export async function removeNode(
  { config, home, directories = [], log }: RemoveNodeOptions,
  signal: AbortSignal,
): Promise<void> {
  const failures: string[] = [];
  for (const step of [...stepsFor(config, home), directoriesStep(directories)]) {
    const { what } = step;
    try {
      await step.run(signal);
      log.info("Removed from the node", { what });
    } catch (error) {
      failures.push(`${what}: ${messageFromError(error)}`);
    }
  }
  if (failures.length === 0) return;
  throw new MeshError(
    "unavailable",
    `Cannot remove Tombolo from node "${config.nodeName}": ${failures.join("; ")}`,
    { hint: "run it again; what is gone already does no harm" },
  );
}

/** The runtime first, so that no pod is attached any more; the state last, for a second run. */
function stepsFor(config: AgentConfig, home: string | undefined): readonly Step[] {
  const { cni, overlay, bpfRoot, stateDirectory, socket } = config;
  const ip = createIpCommand();
  return [
    {
      what: "CNI configuration",
      run: async () => {
        if (cni !== undefined) await rm(join(cni.configDirectory, CONFLIST_NAME), { force: true });
      },
    },
    {
      what: "CNI plugin",
      run: async () => {
        if (cni !== undefined) await uninstallPlugin(cni);
      },
    },
    {
      what: "pods' interfaces",
      run: (signal) => removePodInterfaces({ ip, stateDirectory }, signal),
    },
    {
      what: "maps, programs and links",
      run: async () => {
        const overlayIfindex = indexOrMissing(overlay.device);
        removeDatapath(bpfRoot, overlayIfindex === undefined ? {} : { overlayIfindex });
        await ignoreMissing(rmdir(bpfRoot));
      },
    },
    {
      what: "canaries' cgroup",
      run: () => removeCanaryCgroup(findCgroupPath(config.cgroup)),
    },
    {
      what: "devices",
      run: async (signal) => {
        for (const name of [overlay.device, HOST_DEVICE]) await deleteLink(ip, name, signal);
      },
    },
    {
      what: "routes",
      run: async (signal) => {
        for (const family of ["-4", "-6"]) {
          await ip.run([family, "route", "flush", "proto", ROUTE_PROTOCOL], signal);
        }
      },
    },
    { what: "masquerading", run: removeMasquerade },
    {
      what: "state",
      run: async () => {
        await rm(socket, { force: true });
        if (home !== undefined) await removeLocalNode(home, config.nodeName);
        const cache = join(dirname(stateDirectory), COMPILE_CACHE);
        await rm(cache, { recursive: true, force: true });
        await rm(stateDirectory, { recursive: true, force: true });
      },
    },
  ];
}

/**
 * Mounted into a container, a directory cannot be removed by that path: it is done through the one
 * above it. What others have put there, or mounted there, keeps it.
 */
function directoriesStep(directories: readonly string[]): Step {
  return {
    what: "directories",
    run: async () => {
      for (const path of directories) await removeUnused(path);
    },
  };
}

async function removeLocalNode(home: string, nodeName: string): Promise<void> {
  const file = localNodeFile(home, nodeName);
  await rm(file, { force: true });
  await removeUnused(dirname(file));
  await removeUnused(home);
}

/** Ours go; those that another plugin made stay, without our program. */
async function removePodInterfaces(
  { ip, stateDirectory }: { readonly ip: IpCommand; readonly stateDirectory: string },
  signal: AbortSignal,
): Promise<void> {
  for (const { pair } of await recordsOfEveryPod(stateDirectory)) {
    const ifindex = pair === undefined ? undefined : indexOrMissing(pair.hostInterface);
    if (ifindex !== undefined) detachPod(ifindex);
  }
  for (const link of await ip.query(["link", "show"], signal)) {
    const name = String(link["ifname"]);
    if (HOST_INTERFACE_NAME.test(name)) await deleteLink(ip, name, signal);
  }
}

async function recordsOfEveryPod(stateDirectory: string): Promise<readonly AddressRecord[]> {
  try {
    await access(join(stateDirectory, ADDRESS_BOOK));
  } catch {
    return []; // Removed by an earlier run, or never made.
  }
  const book = await openNodeAddressBook(stateDirectory);
  return book.list();
}

async function deleteLink(ip: IpCommand, name: string, signal: AbortSignal): Promise<void> {
  if (indexOrMissing(name) === undefined) return;
  await ip.run(["link", "delete", "dev", name], signal);
}

function indexOrMissing(name: string): number | undefined {
  try {
    return interfaceIndexFromName(name);
  } catch (error) {
    if (isMeshError(error, "not_found")) return undefined;
    throw error;
  }
}

/** Success as well where others use it, or nothing is there. */
async function removeUnused(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!["ENOENT", "ENOTEMPTY", "EEXIST", "EBUSY", "ENOTDIR"].includes(code)) throw error;
  }
}

async function ignoreMissing(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
