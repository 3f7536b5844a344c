// Keeps our CNI configuration where the container runtime looks for it, from the moment at which
// pods can be attached. It stays when the agent ends: the plugin works without it.
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { replaceFile } from "../atomic-file.ts";
import type { CniSettings } from "../config.ts";
import {
  CONFLIST_NAME,
  encodeChainedConflist,
  encodeOwnConflist,
  findChainBase,
} from "./conflist.ts";

export interface PluginConfigOptions {
  readonly cni: CniSettings;
  readonly stateDirectory: string;
  /** Resolves when pods can be attached. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface PluginConfig {
  /** Looks once; returns whether the file had to be written or removed. */
  repair(): Promise<boolean>;
  /** Why there is no configuration of ours, or empty. */
  problem(): string;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** A few small files a look; a runtime looks at the directory itself at once. */
const LOOK_INTERVAL_MS = 1_000;

export function createPluginConfig(options: PluginConfigOptions): PluginConfig {
  const { cni, stateDirectory, clock, log } = options;
  const path = join(cni.configDirectory, CONFLIST_NAME);
  let problem = "Pods cannot be attached yet";

  async function wantedText(): Promise<string | undefined> {
    if (cni.mode === "none") return undefined;
    if (cni.mode === "network") return encodeOwnConflist(stateDirectory);
    const name = findChainBase(await readdir(cni.configDirectory), cni);
    // Whatever we stood behind is gone: what is left of it attaches no pod.
    if (name === undefined) return undefined;
    const text = await readFile(join(cni.configDirectory, name), "utf8");
    return encodeChainedConflist({ name, text }, stateDirectory);
  }

  async function repair(): Promise<boolean> {
    const wanted = await wantedText();
    problem =
      wanted === undefined && cni.mode === "chained"
        ? `No CNI configuration in "${cni.configDirectory}" to stand behind`
        : "";
    const present = await readOrMissing(path);
    if (present === wanted) return false;
    if (wanted === undefined) await rm(path, { force: true });
    else await replaceFile(path, wanted, { mode: 0o644 });
    log.info(
      wanted === undefined ? "CNI configuration is removed" : "CNI configuration is written",
      {
        path,
        mode: cni.mode,
      },
    );
    return true;
  }

  return {
    repair,
    problem: () => problem,
    async run(signal) {
      await options.ready(signal);
      let said = "";
      while (!signal.aborted) {
        try {
          await repair();
          said = "";
        } catch (error) {
          // What is there stays: the other's file may be half written.
          problem = messageFromError(error);
          if (problem !== said) log.warn("CNI configuration cannot be written", { error });
          said = problem;
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

async function readOrMissing(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
