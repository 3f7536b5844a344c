// The lock of a Kubernetes cluster's connections: a Lease that its holder renews, so that the lock
// of whoever vanished ends by itself.
//
//   nobody's ─────────────────────take──► ours ──renew, every 10 s──► ours ──release──► nobody's
//   somebody's, renewed lately ──► `conflict`, with who and since when
//   somebody's, it seems expired ──watch──┬─ changes: `conflict`
//                                         └─ does not for as long as it lasts: take
//
// The times in a lease are by its holder's clock, which may be wrong, or ours is. They may refuse,
// which harms nobody; taking goes by what this process sees within a time that it measures.
import { withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { CONNECT_LEASE } from "../kubernetes/object-names.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import { updateObject } from "../kubernetes/update-object.ts";
import type { ApiObject } from "../kubernetes/watch-state.ts";
import { createLeaseHolder, type LeaseHolder } from "./lease-holder.ts";

export interface Lease extends ApiObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    /** RFC 3339 with microseconds. */
    readonly acquireTime?: string;
    readonly renewTime?: string;
  };
}

/** How long the lock of a dead holder blocks others. */
const LEASE_SECONDS = 30;
/** Two renewals may fail before others may take the lease. */
const RENEW_MS = 10_000;
const CALL_LIMIT_MS = 20_000;
/** No two clocks of a mesh differ as much: preflight refuses a fifth of it. */
const ABANDONED_MS = 5 * 60_000;
const LOOK_MS = 2_000;

export interface LockOptions {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** See `ClusterAccess.lock`. */
export async function lockWithLease(
  options: LockOptions,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const { log } = options;
  const self = createLeaseHolder();
  const holder = self.identity;
  await take(options, { self, signal });
  const released = new AbortController();
  const renewing = renew(options, { holder, signal: released.signal }).catch((error: unknown) => {
    log.warn("connect lease is not renewed any more", { error });
  });
  return async () => {
    if (released.signal.aborted) return;
    released.abort();
    await renewing;
    try {
      await change(options, (lease) =>
        lease?.spec?.holderIdentity === holder ? freeLease(lease) : lease,
      );
    } catch (error) {
      log.warn("connect lease could not be given back", { error }); // It ends by itself.
    }
  };
}

async function renew(
  options: LockOptions,
  { holder, signal }: { holder: string; signal: AbortSignal },
): Promise<void> {
  const { clock, log } = options;
  try {
    for (;;) {
      await clock.sleep(RENEW_MS, signal);
      try {
        await change(options, (lease) => {
          if (lease?.spec?.holderIdentity === holder) {
            return { ...lease, spec: { ...lease.spec, renewTime: microTime(clock.nowMs()) } };
          }
          throw new MeshError("not_found", `Lease "${CONNECT_LEASE}" was taken by somebody else`);
        });
      } catch (error) {
        if (isMeshError(error, "not_found")) throw error;
        log.warn("connect lease could not be renewed", { error }); // The next time is near.
      }
    }
  } catch (error) {
    if (!isMeshError(error, "aborted")) throw error;
  }
}

/** Resolves when the lease is ours; throws `conflict` when it is somebody's who lives. */
async function take(
  options: LockOptions,
  { self, signal }: { self: LeaseHolder; signal: AbortSignal },
): Promise<void> {
  const { namespace, clock, log } = options;
  let watched: { readonly version: string | undefined; readonly sinceMs: number } | undefined;
  for (;;) {
    let waitFor = "";
    await change(options, (lease) => {
      waitFor = "";
      const nowMs = clock.nowMs();
      const state = judge(lease, { self, nowMs });
      if (state === "held") throw refusal(lease, namespace);
      if (state === "doubtful") {
        const version = lease?.metadata.resourceVersion;
        watched ??= { version, sinceMs: clock.monotonicMs() };
        if (watched.version !== version) throw refusal(lease, namespace);
        if (clock.monotonicMs() - watched.sinceMs < durationMs(lease)) {
          waitFor = lease?.spec?.holderIdentity ?? "";
          return lease;
        }
      }
      return heldLease(lease, { holder: self.identity, namespace, nowMs });
    });
    if (waitFor === "") return;
    if (watched?.sinceMs === clock.monotonicMs()) {
      log.info("waiting to see whether the holder of the connect lease lives", { holder: waitFor });
    }
    await clock.sleep(LOOK_MS, signal);
  }
}

/** "doubtful": only watching it can tell whether its holder lives. */
function judge(
  lease: Lease | undefined,
  { self, nowMs }: { self: LeaseHolder; nowMs: number },
): "free" | "held" | "doubtful" {
  const { holderIdentity = "", renewTime = "" } = lease?.spec ?? {};
  if (holderIdentity === "" || self.isGone(holderIdentity)) return "free";
  const ageMs = nowMs - Date.parse(renewTime);
  if (ageMs >= ABANDONED_MS) return "free";
  // A time that is missing or cannot be read says nothing.
  return Math.abs(ageMs) < durationMs(lease) ? "held" : "doubtful";
}

function durationMs(lease: Lease | undefined): number {
  return (lease?.spec?.leaseDurationSeconds ?? LEASE_SECONDS) * 1_000;
}

function refusal(lease: Lease | undefined, namespace: string): MeshError {
  const { holderIdentity = "", acquireTime = "" } = lease?.spec ?? {};
  const seconds = durationMs(lease) / 1_000;
  return new MeshError(
    "conflict",
    `Cannot change the connections of the cluster: "${holderIdentity}" has been at it since ${acquireTime} (Lease ${namespace}/${CONNECT_LEASE})`,
    {
      hint: `wait until it has ended; the lease of one that vanished can be taken after ${seconds} s`,
    },
  );
}

function heldLease(
  lease: Lease | undefined,
  { holder, namespace, nowMs }: { holder: string; namespace: string; nowMs: number },
): Lease {
  const now = microTime(nowMs);
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    ...lease,
    metadata: lease?.metadata ?? { name: CONNECT_LEASE, namespace },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: LEASE_SECONDS,
      acquireTime: now,
      renewTime: now,
    },
  };
}

function freeLease(lease: Lease): Lease {
  return { ...lease, spec: { leaseDurationSeconds: LEASE_SECONDS } };
}

function change(
  { transport, namespace, clock }: LockOptions,
  apply: (lease: Lease | undefined) => Lease | undefined,
): Promise<void> {
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const update = { collection, name: CONNECT_LEASE, change: apply };
  return withTimeout((signal) => updateObject<Lease>(transport, update, signal), {
    ms: CALL_LIMIT_MS,
    what: `Cannot change Lease ${namespace}/${CONNECT_LEASE}`,
    clock,
    signal: new AbortController().signal,
  });
}

/** What Kubernetes calls MicroTime. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
