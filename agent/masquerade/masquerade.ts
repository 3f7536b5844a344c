// Keeps the node's masquerading as planned: writes the table when what it says changes, and again
// when somebody has flushed the node's rules.
import { commandOutput, runCommand } from "../../mesh/core/child-process.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError, MeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { MASQUERADE_TABLE, planMasquerade } from "./plan-masquerade.ts";

/** nftables, as far as it is ours. */
export interface NftTable {
  /** How the kernel has the table, undefined if it has none. */
  read(signal: AbortSignal): Promise<string | undefined>;
  apply(script: string, signal: AbortSignal): Promise<void>;
}

export interface MasqueradeOptions {
  readonly nft: NftTable;
  /** Undefined while they are not known. */
  readonly podPrefixes: () => readonly string[] | undefined;
  readonly devices: readonly string[];
  readonly ready: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Masquerade {
  /** Looks once; returns whether it had to write. */
  repair(signal: AbortSignal): Promise<boolean>;
  /** Why pods do not reach what is outside the mesh, or empty. */
  problem(): string;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** Firewalls that are started again flush what is not theirs; seconds later it is back. */
const LOOK_INTERVAL_MS = 5_000;

export function createMasquerade(options: MasqueradeOptions): Masquerade {
  const { nft, devices, clock, log } = options;
  let applied: { readonly script: string; readonly table: string | undefined } | undefined;
  let problem = "";

  async function repair(signal: AbortSignal): Promise<boolean> {
    const podPrefixes = options.podPrefixes();
    if (podPrefixes === undefined) return false;
    const script = planMasquerade({ podPrefixes, devices });
    if (applied?.script === script && (await nft.read(signal)) === applied.table) return false;
    await nft.apply(script, signal);
    applied = { script, table: await nft.read(signal) };
    log.info("Pods are masqueraded outside the mesh", { podPrefixes });
    return true;
  }

  return {
    repair,
    problem: () => problem,
    async run(signal) {
      await options.ready(signal);
      while (!signal.aborted) {
        try {
          await repair(signal);
          problem = "";
        } catch (error) {
          if (signal.aborted) return;
          const reason = `Pods do not reach what is outside the mesh: ${messageFromError(error)}`;
          if (reason !== problem) log.warn("Pods cannot be masqueraded", { error });
          problem = reason;
        }
        try {
          await clock.sleep(LOOK_INTERVAL_MS, signal);
        } catch (error) {
          if (!isMeshError(error, "aborted")) throw error;
        }
      }
    },
  };
}

export function createNftTable(): NftTable {
  return {
    async read(signal) {
      const { status, stdout } = await runCommand({ argv: nftOnTable("list") }, signal);
      return status === 0 ? stdout : undefined;
    },
    async apply(script, signal) {
      await commandOutput({ argv: ["nft", "-f", "-"], input: script }, signal);
    },
  };
}

/** Success where there is no table, no nftables in the kernel, or no `nft` that could have made one. */
export async function removeMasquerade(signal: AbortSignal): Promise<void> {
  try {
    const found = await runCommand({ argv: nftOnTable("list") }, signal);
    if (found.status !== 0) return;
  } catch (error) {
    if (isMeshError(error, "not_found")) return;
    throw error;
  }
  const { status, stderr } = await runCommand({ argv: nftOnTable("delete") }, signal);
  if (status === 0) return;
  throw new MeshError(
    "unavailable",
    `Cannot delete nftables table "${MASQUERADE_TABLE}": ${stderr.trim()}`,
  );
}

function nftOnTable(verb: "list" | "delete"): [string, ...string[]] {
  return ["nft", verb, "table", ...MASQUERADE_TABLE.split(" ")];
}
