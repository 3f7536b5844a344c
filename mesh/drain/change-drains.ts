// Ordering a drain and taking it back, as changes of a list of records. Pure. There is one record
// for a cluster as a whole and one for each of its services, always with the same id, so that
// ordering twice updates.
import { createHash } from "node:crypto";
import type { ClusterId } from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";
import { drainIsInForce, MAX_DRAINS, type DrainRecord } from "../kvstore/records/drain.ts";

export interface DrainOrder {
  readonly cluster: string;
  readonly clusterId: ClusterId | undefined;
  readonly percent: number;
  /** "NAMESPACE/NAME"; empty for the cluster as a whole. */
  readonly services: readonly string[];
  /** 0 for none. */
  readonly expiresAtMs: number;
  readonly graceSeconds: number;
  readonly reason: string;
}

/** Which drains are taken back: those of single services, or every one of the cluster. */
export type UndrainOrder = Pick<DrainOrder, "cluster" | "services">;

const ID_HASH_DIGITS = 24;

/** The same for the same cluster and service, in every cluster that is told of it. */
export function drainId(cluster: string, service?: string): string {
  const hash = createHash("sha256")
    .update(`${cluster}\0${service ?? ""}`)
    .digest("hex");
  return `${service === undefined ? "cluster" : "service"}-${hash.slice(0, ID_HASH_DIGITS)}`;
}

/** The list with the order in it, and without what has expired. Throws `resource_exhausted`. */
export function withDrains(
  drains: readonly DrainRecord[],
  order: DrainOrder,
  nowMs: number,
): DrainRecord[] {
  const { services, ...common } = order;
  const wanted = new Map<string, DrainRecord>();
  for (const drain of drains) if (drainIsInForce(drain, nowMs)) wanted.set(drain.id, drain);
  const put = (id: string, named: readonly string[]): void => {
    const createdAtMs = wanted.get(id)?.createdAtMs ?? nowMs;
    wanted.set(id, { id, ...common, services: named, createdAtMs });
  };
  if (services.length === 0) put(drainId(order.cluster), []);
  for (const service of services) put(drainId(order.cluster, service), [service]);
  if (wanted.size <= MAX_DRAINS) return [...wanted.values()];
  throw new MeshError(
    "resource_exhausted",
    `Cannot keep ${wanted.size} drains in one cluster: want at most ${MAX_DRAINS}`,
    { hint: "drain the cluster as a whole, or take some drains back" },
  );
}

/** What stays, and what is taken back. */
export function withoutDrains(
  drains: readonly DrainRecord[],
  { cluster, services }: UndrainOrder,
  nowMs: number,
): { readonly kept: readonly DrainRecord[]; readonly removed: readonly DrainRecord[] } {
  const kept: DrainRecord[] = [];
  const removed: DrainRecord[] = [];
  for (const drain of drains) {
    if (!drainIsInForce(drain, nowMs)) continue;
    const meant =
      drain.cluster === cluster &&
      (services.length === 0 || drain.services.some((service) => services.includes(service)));
    (meant ? removed : kept).push(drain);
  }
  return { kept, removed };
}
