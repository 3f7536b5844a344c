// Policies of the source → policies for agents. Incremental: a policy is planned again when it
// changes, or when a Service that it names, or the endpoints of one without a selector, do.
//
//   policies ─────────────► the policy
//   Service ──────────────► policies that name it, or whose selector it has or had
//   EndpointSlice ────────► the same, if its Service selects no pods
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import {
  POLICY_KINDS,
  policyKey,
  type PolicyKind,
  type PolicyScope,
} from "../../mesh/core/policy.ts";
import { selectorMatches, type Labels } from "../../mesh/core/selector.ts";
import { tableSynced, type Table } from "../../mesh/core/table.ts";
import { closedPolicy, encodePolicy } from "../../mesh/kvstore/records/policy.ts";
import type { ServiceObject, SliceObject, Source } from "../source/objects.ts";
import type { PolicyObject, ServicePeer } from "../source/policy/policy-object.ts";
import type { Desired } from "./desired.ts";
import { Grouping } from "./grouping.ts";
import { policyFromObject, type FoundService } from "./policy-record.ts";

export interface PolicyPlannerOptions {
  readonly cluster: ClusterIdentity;
  readonly scope: PolicyScope;
  readonly source: Source;
  readonly desired: Desired;
  readonly log: Logger;
}

export interface PolicyPlanner {
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** Policies planned between two turns of the event loop: some milliseconds of work. */
const PLAN_CHUNK = 100;
const FOLLOWED = [...POLICY_KINDS, "Service", "EndpointSlice"] as const;

export function createPolicyPlanner(options: PolicyPlannerOptions): PolicyPlanner {
  const { source } = options;
  const planning = new PolicyPlanning(options);
  const follow = async (
    table: Table<unknown>,
    use: { signal: AbortSignal; mark: (key: string) => void },
  ): Promise<void> => {
    for await (const keys of table.changes(use.signal)) {
      for (const key of keys) use.mark(key);
      await planning.plan(table);
    }
  };
  return {
    async run(signal) {
      for (const kind of FOLLOWED) await tableSynced<unknown>(source[kind], signal);
      if (signal.aborted) return;
      await Promise.all([
        follow(source.Service, { signal, mark: (key) => planning.serviceChanged(key) }),
        follow(source.EndpointSlice, { signal, mark: (key) => planning.sliceChanged(key) }),
        ...POLICY_KINDS.map((kind) =>
          follow(source[kind], { signal, mark: (key) => planning.policyChanged(kind, key) }),
        ),
      ]);
    },
  };
}

class PolicyPlanning {
  readonly #options: PolicyPlannerOptions;
  /** By "KIND key"; only those that are in force. */
  readonly #policies = new Map<string, PolicyObject>();
  /** Policies by the services that they name: "namespace/name", or "/name" in any namespace. */
  readonly #byService = new Grouping();
  /** Policies that choose services by their labels. */
  readonly #choosing = new Map<string, readonly ServicePeer[]>();
  readonly #services = new Map<string, ServiceObject>();
  readonly #servicesByName = new Grouping();
  readonly #slices = new Map<string, SliceObject>();
  readonly #slicesByService = new Grouping();
  readonly #stale = new Set<string>();
  readonly #unheard: Set<Table<unknown>>;
  #planning: Promise<void> | undefined;

  constructor(options: PolicyPlannerOptions) {
    this.#options = options;
    this.#unheard = new Set<Table<unknown>>(FOLLOWED.map((kind) => options.source[kind]));
  }

  policyChanged(kind: PolicyKind, key: string): void {
    const id = `${kind} ${key}`;
    const before = this.#policies.get(id);
    const after: PolicyObject | undefined = this.#options.source[kind].get(key);
    for (const peer of before === undefined ? [] : servicesOf(before)) {
      if (peer.name !== "") this.#byService.remove(`${peer.namespace}/${peer.name}`, id);
    }
    this.#choosing.delete(id);
    this.#stale.add(id);
    if (after === undefined) {
      this.#policies.delete(id);
      if (before !== undefined) this.#forget(before);
      return;
    }
    this.#policies.set(id, after);
    const peers = servicesOf(after);
    for (const peer of peers) {
      if (peer.name !== "") this.#byService.add(`${peer.namespace}/${peer.name}`, id);
    }
    const chosen = peers.filter(({ name }) => name === "");
    if (chosen.length > 0) this.#choosing.set(id, chosen);
  }

  serviceChanged(key: string): void {
    const before = this.#services.get(key);
    const after = this.#options.source.Service.get(key);
    if (before !== undefined) {
      this.#servicesByName.remove(before.name, key);
      this.#services.delete(key);
      this.#markPoliciesOf(before);
    }
    if (after === undefined) return;
    this.#servicesByName.add(after.name, key);
    this.#services.set(key, after);
    this.#markPoliciesOf(after);
  }

  sliceChanged(key: string): void {
    const before = this.#slices.get(key);
    const after = this.#options.source.EndpointSlice.get(key);
    if (before !== undefined) {
      this.#slicesByService.remove(sliceOwner(before), key);
      this.#slices.delete(key);
    }
    if (after !== undefined) {
      this.#slices.set(key, after);
      this.#slicesByService.add(sliceOwner(after), key);
    }
    for (const slice of [before, after]) {
      const service = slice && this.#services.get(sliceOwner(slice));
      if (service !== undefined && service.selector.size === 0) this.#markPoliciesOf(service);
    }
  }

  /** Plans what is stale, once every kind has been heard of; callers share one run. */
  plan(heardOf: Table<unknown>): Promise<void> {
    this.#unheard.delete(heardOf);
    this.#planning ??= this.#planStale();
    return this.#planning;
  }

  async #planStale(): Promise<void> {
    // What comes with the same file arrives in the same turn: it is planned together.
    await nextTurn();
    let planned = 0;
    while (this.#unheard.size === 0 && this.#stale.size > 0) {
      for (const id of this.#stale) {
        this.#stale.delete(id);
        const policy = this.#policies.get(id);
        if (policy !== undefined) this.#write(policy);
        if (++planned % PLAN_CHUNK === 0) await nextTurn();
      }
    }
    if (this.#unheard.size === 0) this.#options.desired.table.markSynced();
    this.#planning = undefined;
  }

  #write(object: PolicyObject): void {
    const { cluster, scope, desired, log } = this.#options;
    const row = desired.prefix + policyKey(object);
    try {
      const policy = policyFromObject(object, {
        cluster: cluster.name,
        scope,
        services: (peer) => this.#find(peer),
      });
      desired.table.put(row, encodePolicy(policy));
    } catch (error) {
      // Larger than a record may be: nothing of it may be left out, so all of it is closed.
      const reason = messageFromError(error);
      log.error("Policy cannot be exported; what it is about is closed", {
        object: policyKey(object),
        reason,
      });
      desired.table.put(row, encodePolicy(closedPolicy(object, reason)));
    }
  }

  #forget(object: PolicyObject): void {
    const { desired } = this.#options;
    desired.table.delete(desired.prefix + policyKey(object));
  }

  #find(peer: ServicePeer): FoundService[] {
    const keys = peer.name === "" ? this.#services.keys() : this.#servicesByName.get(peer.name);
    return [...keys].sort().flatMap((key) => {
      const service = this.#services.get(key);
      if (service === undefined || !peerMeans(peer, service)) return [];
      return [{ service, addresses: () => this.#addressesOf(key) }];
    });
  }

  #addressesOf(service: string): string[] {
    const slices = [...this.#slicesByService.get(service)].flatMap(
      (key) => this.#slices.get(key) ?? [],
    );
    const endpoints = slices.flatMap((slice) => slice.endpoints);
    return [...new Set(endpoints.flatMap(({ addresses }) => addresses))].sort();
  }

  #markPoliciesOf(service: ServiceObject): void {
    const { namespace, name } = service;
    for (const id of this.#byService.get(`${namespace}/${name}`)) this.#stale.add(id);
    for (const id of this.#byService.get(`/${name}`)) this.#stale.add(id);
    for (const [id, peers] of this.#choosing) {
      if (peers.some((peer) => peerMeans(peer, service))) this.#stale.add(id);
    }
  }
}

function servicesOf(policy: PolicyObject): ServicePeer[] {
  return policy.rules.flatMap(({ ingress, egress }) =>
    [...ingress, ...egress].flatMap(({ peers }) =>
      (peers ?? []).flatMap((peer) => (peer.kind === "services" ? [peer] : [])),
    ),
  );
}

function peerMeans(peer: ServicePeer, service: ServiceObject): boolean {
  if (peer.namespace !== "" && peer.namespace !== service.namespace) return false;
  if (peer.name !== "") return peer.name === service.name;
  const labels: Labels = new Map([...service.labels].map(([key, value]) => [`k8s:${key}`, value]));
  return selectorMatches(peer.selector, labels);
}

function sliceOwner(slice: SliceObject): string {
  return `${slice.namespace}/${slice.serviceName}`;
}
