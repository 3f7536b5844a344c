// The lock of a Kubernetes cluster's connections: a Lease that its holder renews, so that the lock
// of whoever vanished ends by itself.
//
//   nobody's, or expired ──take──► ours ──renew, every 10 s──► ours ──release──► nobody's
//   somebody's, not expired ─────► `conflict`, with who and since when
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { CONNECT_LEASE } from "../kubernetes/object-names.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import { updateObject } from "../kubernetes/update-object.ts";
import type { ApiObject } from "../kubernetes/watch-state.ts";

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

export interface LockOptions {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** See `ClusterAccess.lock`. */
export async function lockWithLease(options: LockOptions): Promise<() => Promise<void>> {
  const { clock, log } = options;
  const holder = `mesh on ${hostname()}, process ${process.pid} (${randomBytes(4).toString("hex")})`;
  await change(options, (lease) => {
    refuseHeld(lease, { ...options, nowMs: clock.nowMs() });
    return heldLease(lease, { holder, namespace: options.namespace, nowMs: clock.nowMs() });
  });
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

function refuseHeld(
  lease: Lease | undefined,
  { namespace, nowMs }: { namespace: string; nowMs: number },
): void {
  const { holderIdentity = "", renewTime = "", acquireTime = "" } = lease?.spec ?? {};
  const seconds = lease?.spec?.leaseDurationSeconds ?? LEASE_SECONDS;
  const expiresMs = Date.parse(renewTime) + seconds * 1_000;
  // A time that is missing or cannot be read is no time in which somebody holds it.
  if (holderIdentity === "" || !(nowMs < expiresMs)) return;
  throw new MeshError(
    "conflict",
    `Cannot change the connections of the cluster: "${holderIdentity}" has been at it since ${acquireTime} (Lease ${namespace}/${CONNECT_LEASE})`,
    { hint: `wait until it has ended; ${seconds} s after it vanished its lease is free` },
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
