// Source tables → desired tables. Incremental: a changed object marks what it touches, and only
// that is planned again; the cost of one pod is the pod, its addresses and the services that
// select it. Planning begins when the whole source has been seen, because a pod planned before
// its namespace would get the identity of another label set.
//
//   Node ──────► nodes          Namespace ─► its pods and services ─► identities, ip, exported
//   Pod ───────► ip, services that select it (before and after)
//   Service, EndpointSlice ───► the service: local, and exported if global and shared
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import type { IdentityNumber } from "../../mesh/core/identity.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { tableSynced, type Table } from "../../mesh/core/table.ts";
import { encodeEndpoint } from "../../mesh/kvstore/records/endpoint.ts";
import { encodeIdentity, identityLabelsForPod } from "../../mesh/kvstore/records/identity.ts";
import { NAMESPACE_LABEL } from "../../mesh/kvstore/records/identity-labels.ts";
import { encodeLocalService } from "../../mesh/kvstore/records/local-service.ts";
import { encodeNode } from "../../mesh/kvstore/records/node.ts";
import { encodeLocalPod, localPodName } from "../../mesh/kvstore/records/pod.ts";
import { encodeService } from "../../mesh/kvstore/records/service.ts";
import type { IdentityAllocator } from "../identity/allocator.ts";
import type { PodObject, ServiceObject, SliceObject, Source } from "../source/objects.ts";
import { backendsFromPods, backendsFromSlices, type Answering } from "./backends.ts";
import type { DesiredTables } from "./desired.ts";
import {
  endpointsFromPod,
  hasOwnAddresses,
  isBoundToNode,
  localPodFromPod,
} from "./endpoint-records.ts";
import { Grouping } from "./grouping.ts";
import { LabelIndex, SelectorIndex } from "./label-index.ts";
import { meshNodeFromObject, tunnelAddress } from "./node-record.ts";
import { OwnedRows } from "./owned-rows.ts";
import { clusterServiceFromObject, isExported } from "./service-record.ts";

export interface ExportPlannerOptions {
  readonly cluster: ClusterIdentity;
  readonly source: Source;
  readonly identities: IdentityAllocator;
  readonly desired: DesiredTables;
  readonly log: Logger;
}

export interface ExportPlanner {
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Plans again what could not be planned, e.g. for want of a free identity. */
  retry(): Promise<void>;
  /** "Pod shop/cart" → why it is not exported. */
  unplannable(): ReadonlyMap<string, string>;
}

/** Policies are planned apart (policy-planner.ts): pods must not wait for them, nor they for pods. */
const PLANNED_KINDS = ["Namespace", "Node", "Pod", "Service", "EndpointSlice"] as const;
/** Rows planned between two turns of the event loop: some milliseconds of work. */
const PLAN_CHUNK = 500;

export function createExportPlanner(options: ExportPlannerOptions): ExportPlanner {
  const { source, identities } = options;
  const planning = new Planning(options);
  const follow = async (
    table: Table<unknown>,
    use: { signal: AbortSignal; mark: (key: string) => void },
  ): Promise<void> => {
    for await (const keys of table.changes(use.signal)) {
      for (const key of keys) use.mark(key);
      planning.heardOf(table);
      await planning.plan();
    }
  };
  return {
    async run(signal) {
      for (const kind of PLANNED_KINDS) await tableSynced<unknown>(source[kind], signal);
      if (signal.aborted) return;
      await Promise.all([
        follow(source.Namespace, { signal, mark: (key) => planning.namespaceChanged(key) }),
        follow(source.Node, { signal, mark: (key) => planning.nodeChanged(key) }),
        follow(source.Pod, { signal, mark: (key) => planning.podChanged(key) }),
        follow(source.EndpointSlice, { signal, mark: (key) => planning.sliceChanged(key) }),
        follow(source.Service, { signal, mark: (key) => planning.serviceChanged(key) }),
        follow(identities.table, { signal, mark: (key) => planning.identityChanged(key) }),
      ]);
    },
    retry: () => planning.retry(),
    unplannable: () => planning.unplannable,
  };
}

class Planning {
  readonly unplannable = new Map<string, string>();
  readonly #options: ExportPlannerOptions;
  readonly #endpoints: OwnedRows;
  readonly #localPods: OwnedRows;
  readonly #pods = new Map<string, PodObject>();
  readonly #services = new Map<string, ServiceObject>();
  readonly #slices = new Map<string, SliceObject>();
  readonly #podIndex = new LabelIndex();
  readonly #selectorIndex = new SelectorIndex();
  readonly #podsByNamespace = new Grouping();
  readonly #podsByNode = new Grouping();
  readonly #servicesByNamespace = new Grouping();
  readonly #slicesByService = new Grouping();
  /** Namespaces that keep to the cluster. */
  readonly #private = new Set<string>();
  readonly #stalePods = new Set<string>();
  readonly #staleServices = new Set<string>();
  /** Nothing is planned before the first batch of every kind has been marked. */
  readonly #unheard: Set<Table<unknown>>;
  #planning: Promise<void> | undefined;

  constructor(options: ExportPlannerOptions) {
    this.#options = options;
    this.#endpoints = new OwnedRows(options.desired.ip.table);
    this.#localPods = new OwnedRows(options.desired.pods.table);
    this.#unheard = new Set<Table<unknown>>(PLANNED_KINDS.map((kind) => options.source[kind]));
  }

  heardOf(table: Table<unknown>): void {
    this.#unheard.delete(table);
  }

  identityChanged(number: string): void {
    const { identities, desired } = this.#options;
    const labels = identities.table.get(number);
    const exported = `${desired.identities.prefix}${number}`;
    const local = `${desired["local-identities"].prefix}${number}`;
    if (labels === undefined) {
      desired.identities.table.delete(exported);
      desired["local-identities"].table.delete(local);
      return;
    }
    const record = encodeIdentity(labels);
    desired["local-identities"].table.put(local, record);
    const isExported = this.#isGlobal(namespaceFromLabels(labels));
    if (isExported) desired.identities.table.put(exported, record);
    else desired.identities.table.delete(exported);
  }

  namespaceChanged(name: string): void {
    for (const key of this.#podsByNamespace.get(name)) this.#stalePods.add(key);
    for (const key of this.#servicesByNamespace.get(name)) this.#staleServices.add(key);
    const isPrivate = !this.#isGlobal(name);
    if (isPrivate === this.#private.has(name)) return;
    if (isPrivate) this.#private.add(name);
    else this.#private.delete(name);
    for (const [number, labels] of this.#options.identities.table.entries()) {
      if (namespaceFromLabels(labels) === name) this.identityChanged(number);
    }
  }

  nodeChanged(name: string): void {
    const { source, cluster, desired } = this.#options;
    const node = source.Node.get(name);
    const row = `${desired.nodes.prefix}${name}`;
    if (node === undefined) desired.nodes.table.delete(row);
    else desired.nodes.table.put(row, encodeNode(meshNodeFromObject(node, cluster)));
    for (const key of this.#podsByNode.get(name)) {
      this.#stalePods.add(key);
      const pod = this.#pods.get(key);
      if (pod?.hostNetwork) this.#markServicesOf(pod);
    }
  }

  podChanged(key: string): void {
    const before = this.#pods.get(key);
    const after = this.#options.source.Pod.get(key);
    if (before !== undefined) {
      this.#markServicesOf(before);
      this.#podIndex.remove(key, before);
      this.#podsByNamespace.remove(before.namespace, key);
      this.#podsByNode.remove(before.nodeName, key);
      this.#pods.delete(key);
    }
    if (after !== undefined) {
      this.#pods.set(key, after);
      this.#podIndex.add(key, after);
      this.#podsByNamespace.add(after.namespace, key);
      this.#podsByNode.add(after.nodeName, key);
      this.#markServicesOf(after);
    }
    this.#stalePods.add(key);
  }

  serviceChanged(key: string): void {
    const before = this.#services.get(key);
    const after = this.#options.source.Service.get(key);
    if (before !== undefined) {
      this.#selectorIndex.remove(key, before);
      this.#servicesByNamespace.remove(before.namespace, key);
    }
    if (after === undefined) {
      this.#services.delete(key);
    } else {
      this.#services.set(key, after);
      this.#selectorIndex.add(key, after);
      this.#servicesByNamespace.add(after.namespace, key);
    }
    this.#staleServices.add(key);
  }

  sliceChanged(key: string): void {
    const before = this.#slices.get(key);
    const after = this.#options.source.EndpointSlice.get(key);
    if (before !== undefined) {
      this.#slicesByService.remove(sliceOwner(before), key);
      this.#staleServices.add(sliceOwner(before));
      this.#slices.delete(key);
    }
    if (after !== undefined) {
      this.#slices.set(key, after);
      this.#slicesByService.add(sliceOwner(after), key);
      this.#staleServices.add(sliceOwner(after));
    }
  }

  /** Plans what is stale, once every kind has been heard of; callers share one run. */
  plan(): Promise<void> {
    this.#planning ??= this.#planStale();
    return this.#planning;
  }

  retry(): Promise<void> {
    for (const name of this.unplannable.keys()) {
      const [kind, key = ""] = name.split(" ");
      (kind === "Pod" ? this.#stalePods : this.#staleServices).add(key);
    }
    return this.plan();
  }

  async #planStale(): Promise<void> {
    // What comes with the same file arrives in the same turn: it is planned together.
    await nextTurn();
    let planned = 0;
    while (this.#unheard.size === 0 && this.#stalePods.size + this.#staleServices.size > 0) {
      for (const key of this.#stalePods) {
        this.#stalePods.delete(key);
        this.#guard(`Pod ${key}`, () => this.#planPod(key));
        if (++planned % PLAN_CHUNK === 0) await nextTurn();
      }
      for (const key of this.#staleServices) {
        this.#staleServices.delete(key);
        this.#guard(`Service ${key}`, () => this.#planService(key));
        if (++planned % PLAN_CHUNK === 0) await nextTurn();
      }
    }
    if (this.#unheard.size === 0) this.#markSynced();
    // In the same turn as the last look at the stale ones: whoever marks one from here on starts
    // a new run.
    this.#planning = undefined;
  }

  #markSynced(): void {
    const { identities, desired } = this.#options;
    if (desired.identities.table.synced) return;
    for (const [number] of identities.table.entries()) this.identityChanged(number);
    for (const { kind, table } of Object.values(desired)) {
      if (kind !== "policies") table.markSynced();
    }
  }

  #planPod(key: string): void {
    const { cluster, source, identities, desired } = this.#options;
    const pod = this.#pods.get(key);
    const isExported = pod !== undefined && hasOwnAddresses(pod) && this.#isGlobal(pod.namespace);
    if (pod === undefined || !(isExported || isBoundToNode(pod))) {
      identities.release(key);
      this.#endpoints.set(key, new Map());
      this.#localPods.set(key, new Map());
      return;
    }
    const labels = identityLabelsForPod({
      cluster: cluster.name,
      namespace: pod.namespace,
      namespaceLabels: source.Namespace.get(pod.namespace)?.labels ?? new Map(),
      serviceAccount: pod.serviceAccount,
      labels: pod.labels,
    });
    const identity = identities.assign(key, labels);
    this.#localPods.set(key, this.#localPodRow(pod, identity));
    if (!isExported) {
      this.#endpoints.set(key, new Map());
      return;
    }
    const hostIp = tunnelAddress(source.Node.get(pod.nodeName));
    const rows = endpointsFromPod(pod, { identity, hostIp }).map((endpoint): [string, Buffer] => [
      `${desired.ip.prefix}${endpoint.prefix}`,
      encodeEndpoint(endpoint),
    ]);
    this.#endpoints.set(key, new Map(rows));
  }

  #localPodRow(pod: PodObject, identity: IdentityNumber): Map<string, Buffer> {
    if (!isBoundToNode(pod)) return new Map();
    const record = localPodFromPod(pod, identity);
    const { prefix } = this.#options.desired.pods;
    const row = `${prefix}${pod.nodeName}/${localPodName(record)}`;
    return new Map([[row, encodeLocalPod(record)]]);
  }

  #planService(key: string): void {
    const { cluster, desired } = this.#options;
    const service = this.#services.get(key);
    const exportedKey = `${desired.services.prefix}${key}`;
    const localKey = `${desired["local-services"].prefix}${key}`;
    if (service === undefined) {
      desired.services.table.delete(exportedKey);
      desired["local-services"].table.delete(localKey);
      return;
    }
    const answering = this.#answering(key, service);
    const record = clusterServiceFromObject(service, { cluster, answering });
    const local = { service: record, settings: service.settings };
    desired["local-services"].table.put(localKey, encodeLocalService(local));
    const exported = isExported(service) && this.#isGlobal(service.namespace);
    if (exported) desired.services.table.put(exportedKey, encodeService(record));
    else desired.services.table.delete(exportedKey);
  }

  /** A namespace that is not known, as in manifests without one, keeps nothing to itself. */
  #isGlobal(namespace: string): boolean {
    return this.#options.source.Namespace.get(namespace)?.global ?? true;
  }

  #answering(key: string, service: ServiceObject): Answering {
    const slices = [...this.#slicesByService.get(key)].sort();
    if (slices.length > 0) {
      return backendsFromSlices(service, existing(slices, this.#slices));
    }
    const pods = this.#podIndex.select(service.namespace, service.selector).sort();
    return backendsFromPods(service, existing(pods, this.#pods), (pod) => this.#addressesOf(pod));
  }

  #addressesOf(pod: PodObject): readonly string[] {
    if (pod.ips.length > 0 || !pod.hostNetwork) return pod.ips;
    const node = this.#options.source.Node.get(pod.nodeName);
    return (node?.addresses ?? []).filter(({ type }) => type === "InternalIP").map(({ ip }) => ip);
  }

  #markServicesOf(pod: PodObject): void {
    for (const key of this.#selectorIndex.selecting(pod)) this.#staleServices.add(key);
  }

  /** One object that cannot be planned must not hold up the others. */
  #guard(name: string, work: () => void): void {
    try {
      work();
      this.unplannable.delete(name);
    } catch (error) {
      const reason = messageFromError(error);
      this.unplannable.set(name, reason);
      this.#options.log.error("Object cannot be exported", { object: name, reason });
    }
  }
}

function namespaceFromLabels(labels: readonly string[]): string {
  const start = `${NAMESPACE_LABEL}=`;
  return labels.find((label) => label.startsWith(start))?.slice(start.length) ?? "";
}

function sliceOwner(slice: SliceObject): string {
  return `${slice.namespace}/${slice.serviceName}`;
}

function existing<T>(keys: readonly string[], rows: ReadonlyMap<string, T>): T[] {
  return keys.flatMap((key) => rows.get(key) ?? []);
}
