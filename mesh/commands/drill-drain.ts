// A drain that a drill orders: one record of the drained cluster about itself, with its end, beside
// whatever operators have ordered.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { clusterPaths, readClusterProfile } from "../contexts/cluster-directory.ts";
import type { Clock } from "../core/clock.ts";
import { encodeDrainFile, parseDrainFile } from "../drain/drain-file.ts";
import type { DrainOrder } from "../drill/drill-mesh.ts";
import { drainIsInForce, type DrainRecord } from "../kvstore/records/drain.ts";

/** A drill looks at what becomes of established flows, and not for long. */
const GRACE_SECONDS = 5;

export async function orderDrain(
  directory: string,
  order: DrainOrder,
  { clock }: { readonly clock: Clock },
): Promise<void> {
  const { id: clusterId } = await readClusterProfile(directory);
  const { id, ...rest } = order;
  const nowMs = clock.nowMs();
  const record: DrainRecord = {
    ...rest,
    id: recordId(id),
    clusterId,
    graceSeconds: GRACE_SECONDS,
    createdAtMs: nowMs,
  };
  await change(directory, (drains) => [
    ...drains.filter((drain) => drain.id !== record.id && drainIsInForce(drain, nowMs)),
    record,
  ]);
}

/** Idempotent. */
export async function takeBackDrain(directory: string, drill: string): Promise<void> {
  const id = recordId(drill);
  await change(directory, (drains) => drains.filter((drain) => drain.id !== id));
}

async function change(
  directory: string,
  edit: (drains: readonly DrainRecord[]) => readonly DrainRecord[],
): Promise<void> {
  const path = clusterPaths(directory).drains;
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  const drains = text === undefined ? [] : parseDrainFile(text, path);
  await writeFileAtomic(path, encodeDrainFile(edit(drains)), { mode: SECRET_FILE_MODE });
}

/** Ids of drills are longer than those of drains. */
function recordId(drill: string): string {
  return `drill-${createHash("sha256").update(drill).digest("hex").slice(0, 24)}`;
}
