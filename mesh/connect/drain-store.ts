// Where a cluster's drains are ordered: a file of its directory, or a ConfigMap of its namespace.
// Changes are made under a lock, or under the version that was read: two that come at once both
// count.
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { PUBLIC_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { clusterPaths } from "../contexts/cluster-directory.ts";
import { withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError } from "../core/errors.ts";
import { encodeDrainFile, parseDrainFile } from "../drain/drain-file.ts";
import { DRAINS_KEY, OPERATIONS_CONFIG_MAP } from "../kubernetes/object-names.ts";
import { readObject } from "../kubernetes/objects.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import { updateObject } from "../kubernetes/update-object.ts";
import type { DrainRecord } from "../kvstore/records/drain.ts";
import { lockDirectory } from "./connection-files.ts";
import { describeObject, type ConfigMap } from "./kubernetes-objects.ts";

export interface DrainStore {
  /** Throws `invalid_argument` for what cannot be read as drains. */
  read(signal: AbortSignal): Promise<readonly DrainRecord[]>;
  change(
    edit: (drains: readonly DrainRecord[]) => readonly DrainRecord[],
    signal: AbortSignal,
  ): Promise<void>;
}

const LOCK_FILE = ".drains.lock";
/** Whoever holds the lock writes one small file. */
const LOCK_ATTEMPTS = 40;
const LOCK_PAUSE_MS = 50;
const CALL_LIMIT_MS = 15_000;

export function createDirectoryDrainStore(
  directory: string,
  { clock }: { readonly clock: Clock },
): DrainStore {
  const path = clusterPaths(directory).drains;

  async function read(): Promise<readonly DrainRecord[]> {
    try {
      return parseDrainFile(await readFile(path, "utf8"), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  async function lock(signal: AbortSignal): Promise<() => Promise<void>> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await lockDirectory(directory, { file: LOCK_FILE, what: "the drains" });
      } catch (error) {
        if (!isMeshError(error, "conflict") || attempt === LOCK_ATTEMPTS) throw error;
        await clock.sleep(LOCK_PAUSE_MS, signal);
      }
    }
  }

  return {
    read,
    async change(edit, signal) {
      const unlock = await lock(signal);
      try {
        const text = encodeDrainFile(edit(await read()));
        await mkdir(dirname(path), { recursive: true });
        await writeFileAtomic(path, text, { mode: PUBLIC_FILE_MODE });
      } finally {
        await unlock();
      }
    },
  };
}

export function createKubernetesDrainStore(options: {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  readonly clock: Clock;
}): DrainStore {
  const { transport, namespace, clock } = options;
  const collection = `/api/v1/namespaces/${namespace}/configmaps`;
  const limited = <T>(
    what: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> =>
    withTimeout(work, {
      ms: CALL_LIMIT_MS,
      what: `Cannot ${what} in namespace "${namespace}"`,
      clock,
      signal,
    });
  return {
    read: (signal) =>
      limited(
        "read the drains",
        async (inner) => {
          const path = `${collection}/${OPERATIONS_CONFIG_MAP}`;
          return drainsFromConfigMap(await readObject<ConfigMap>(transport, path, inner));
        },
        signal,
      ),
    change: (edit, signal) =>
      limited(
        "change the drains",
        (inner) =>
          updateObject<ConfigMap>(
            transport,
            {
              collection,
              name: OPERATIONS_CONFIG_MAP,
              change: (current) => withDrainText(current, { edit, namespace }),
            },
            inner,
          ),
        signal,
      ),
  };
}

/** No object, or none of its key, means no drains. Throws `invalid_argument`. */
export function drainsFromConfigMap(configMap: ConfigMap | undefined): readonly DrainRecord[] {
  const text = configMap?.data?.[DRAINS_KEY];
  if (configMap === undefined || text === undefined) return [];
  return parseDrainFile(text, `${describeObject("ConfigMap", configMap)}, key ${DRAINS_KEY}`);
}

/** Other keys, labels and annotations stay. */
function withDrainText(
  current: ConfigMap | undefined,
  change: {
    readonly edit: (drains: readonly DrainRecord[]) => readonly DrainRecord[];
    readonly namespace: string;
  },
): ConfigMap {
  const { edit, namespace } = change;
  const text = encodeDrainFile(edit(drainsFromConfigMap(current)));
  const base: ConfigMap = current ?? {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: OPERATIONS_CONFIG_MAP, namespace },
  };
  return { ...base, data: { ...base.data, [DRAINS_KEY]: text } };
}
