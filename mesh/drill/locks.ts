// One drill at a time: the lock of every cluster that takes part, taken before anything is touched
// and given back at the end. Whoever takes it away stops the drill (`mesh drill stop`).
import type { Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import { LOCK_TTL_MAX_MS } from "../operations/questions.ts";
import { askQuietly } from "./ask-quietly.ts";
import { APISERVER, type DrillMesh } from "./drill-mesh.ts";
import type { Stopper } from "./stopper.ts";

export interface LockOptions {
  readonly mesh: DrillMesh;
  readonly drill: string;
  /** In words for people. */
  readonly holder: string;
  /** How long it may be out of reach, because the drill breaks whoever would renew it. */
  readonly outageMs: number;
  readonly clock: Clock;
}

const RENEW_MS = 2_000;
/** Beyond what the drill itself breaks. */
const SPARE_MS = 30_000;

/** Throws `conflict` with the holder; then none is held. */
export async function takeLocks(options: LockOptions, signal: AbortSignal): Promise<void> {
  const { mesh, drill } = options;
  const taken: string[] = [];
  for (const cluster of mesh.clusters) {
    const answer = await askLock(options, { cluster, renew: false }, signal);
    if (answer.held) {
      taken.push(cluster);
      continue;
    }
    await releaseLocks({ mesh, drill, clusters: taken }, signal);
    throw new MeshError(
      "conflict",
      `Cannot drill: "${answer.drill}" is under way in cluster "${cluster}" (${answer.holder})`,
      { hint: "`mesh drill stop` ends it" },
    );
  }
}

/** Renews until the signal aborts; stops the run when somebody took a lock away. */
export async function keepLocks(
  options: LockOptions,
  stopper: Stopper,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await options.clock.sleep(RENEW_MS, signal);
    for (const cluster of options.mesh.clusters) {
      const answer = await askLock(options, { cluster, renew: true }, signal).catch(
        () => undefined, // It cannot be asked now; it outlives that.
      );
      if (answer === undefined || answer.held) continue;
      const reason = `Stopped: the lock of cluster "${cluster}" was taken away`;
      stopper.stop({ verdict: "ABORTED", reason });
    }
  }
}

export async function releaseLocks(
  { mesh, drill, clusters }: { mesh: DrillMesh; drill: string; clusters: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    clusters.map((cluster) =>
      askQuietly(mesh, { cluster, node: APISERVER }, { ask: "unlock", drill }, signal),
    ),
  );
}

function askLock(
  { mesh, drill, holder, outageMs }: LockOptions,
  { cluster, renew }: { readonly cluster: string; readonly renew: boolean },
  signal: AbortSignal,
) {
  const ttlMs = Math.min(LOCK_TTL_MAX_MS, outageMs + SPARE_MS);
  const place = { cluster, node: APISERVER };
  return mesh.ask(place, { ask: "lock", drill, holder, ttlMs, renew }, signal);
}
