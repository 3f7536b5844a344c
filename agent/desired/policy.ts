// Keeps every pod's policy in step with intent: feeds the engine from tables, takes what has
// changed, and has it written in the order that leaves nothing open in between.
//
//   policies, identities, named ports ─┐
//   pods of this node ─────────────────┴► engine ─take()─► maps, then rows of CIDRs
//
// Nothing is written before all of it is known once: maps of an earlier agent hold until then.
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { EndpointAddress } from "../../mesh/core/node.ts";
import { createTable, tableSynced, type Table, type WritableTable } from "../../mesh/core/table.ts";
import type { PolicyPlace, PolicyTarget } from "../apply/policy-target.ts";
import type { LocalEndpoint } from "../endpoints/local-endpoints.ts";
import type { ClusterIntent, Intent, PeerIntent } from "../intent/intent.ts";
import type { CidrRow, EndpointChange, PolicyEngine } from "../policy/engine.ts";
import { followPeers, followTable } from "./follow.ts";
import { identifyEndpoint, namedPortsOf, podAtAddress } from "./identify-endpoint.ts";
import { createSettlement, listConnected } from "./settlement.ts";

export interface PolicyPlannerOptions {
  readonly intent: Intent;
  /** By `LocalEndpoint.key`. */
  readonly endpoints: Table<LocalEndpoint>;
  readonly engine: PolicyEngine;
  readonly target: PolicyTarget;
  /** Prefixes that policies name, with this node's numbers: for the ipcache. */
  readonly rows: WritableTable<CidrRow>;
  /** Resolves when the kernel's ipcache holds these rows, or no longer holds them. */
  readonly rowsApplied: (
    rows: { readonly put: readonly CidrRow[]; readonly deleted: readonly CidrRow[] },
    signal: AbortSignal,
  ) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What became of a pod's policy on this node. */
export interface EnforcedEndpoint {
  readonly place: PolicyPlace;
  /** Why the kernel does not hold what it should; "" if it does. */
  readonly problem: string;
}

export interface PolicyPlanner {
  /** By `LocalEndpoint.key`: whose policy was written. */
  readonly enforced: ReadonlyMap<string, EnforcedEndpoint>;
  /** Whether everything was known once, and written. */
  isReady(): boolean;
  /** Whether that was done with the policies as they are now; `enforced` has what failed. */
  isCurrent(): boolean;
  /** Resolves then, or when the signal aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** A map that could not be written is tried again after this time. */
const RETRY_MS = 1_000;

export function createPolicyPlanner(options: PolicyPlannerOptions): PolicyPlanner {
  const { intent, endpoints, engine, target, rows, clock, log } = options;
  const { own, peers } = intent;
  const isReady = createTable<true>({ name: "policy-ready" });
  const enforced = new Map<string, EnforcedEndpoint>();
  /** Pod → its interfaces. */
  const keysOfPod = new Map<string, Set<string>>();
  const known = new Map<string, LocalEndpoint>();
  /** Addresses that were told to the engine for their named ports. */
  const portOwners = new Set<string>();
  /** Endpoints of which something was told since the last look. */
  const refreshed = new Set<string>();
  /** Endpoints whose map must be written whole, whatever has changed. */
  const again = new Set<string>();
  const settled = createTable<true>({ name: "policy-inputs" });
  const settlement = createSettlement({
    intent,
    clock,
    onReady: () => settled.markSynced(),
  });
  let isDirty = true;
  let hadPolicies = false;
  /** Changes of policies that were told, and those that were applied. */
  let told = 0;
  let applied = 0;
  let wakeUp = (): void => {};

  function touch(): void {
    isDirty = true;
    wakeUp();
  }

  function refreshEndpoint(key: string): void {
    const endpoint = known.get(key);
    const found = endpoint === undefined ? undefined : identifyEndpoint(endpoint, own);
    engine.setEndpoint(key, found);
    refreshed.add(key);
    touch();
  }

  function onEndpoint(key: string): void {
    const before = known.get(key);
    const now = endpoints.get(key);
    if (before !== undefined && before.pod !== now?.pod) keysOfPod.get(before.pod)?.delete(key);
    if (now === undefined) {
      known.delete(key);
      const written = enforced.get(key);
      enforced.delete(key);
      if (written !== undefined) target.remove(written.place.ifindex);
    } else {
      if (before !== undefined && before.ifindex !== now.ifindex) {
        target.remove(before.ifindex);
        again.add(key);
      }
      known.set(key, now);
      const keys = keysOfPod.get(now.pod) ?? new Set();
      keysOfPod.set(now.pod, keys.add(key));
    }
    if (keysOfPod.get(before?.pod ?? "")?.size === 0) keysOfPod.delete(before?.pod ?? "");
    refreshEndpoint(key);
  }

  function onAddress(cluster: ClusterIntent, key: string): void {
    const address = cluster.endpoints.get(key);
    tellPorts(`${cluster.cluster.name}/${key}`, address);
    if (cluster !== own) return;
    for (const pod of podAtAddress(address)) {
      for (const endpoint of keysOfPod.get(pod) ?? []) refreshEndpoint(endpoint);
    }
  }

  function tellPorts(owner: string, address: EndpointAddress | undefined): void {
    const ports = namedPortsOf(address?.namedPorts ?? []);
    if (address !== undefined && ports.length > 0) {
      portOwners.add(owner);
      engine.setNamedPorts(owner, { identity: address.identity, ports });
    } else if (portOwners.delete(owner)) {
      engine.setNamedPorts(owner, undefined);
    } else {
      return;
    }
    touch();
  }

  function onIdentity(cluster: ClusterIntent, key: string): void {
    engine.setIdentity(Number(key), cluster.identities.get(key)?.labels);
    touch();
  }

  async function followCluster(cluster: ClusterIntent, signal: AbortSignal): Promise<void> {
    const { id } = cluster.cluster;
    settlement.list(id);
    let waiting = 2;
    const onSynced = (): void => {
      if (--waiting === 0) settlement.settle(id);
    };
    const follow = <T>(table: Table<T>, onKey: (key: string) => void): Promise<void> =>
      followTable(table, { clock, onKey, onSynced }, signal);
    await Promise.all([
      follow(cluster.identities, (key) => onIdentity(cluster, key)),
      follow(cluster.endpoints, (key) => onAddress(cluster, key)),
    ]);
  }

  function onPeerGone(peer: PeerIntent): void {
    settlement.gone(peer.cluster.id);
    for (const [key] of peer.identities.entries()) engine.setIdentity(Number(key), undefined);
    const prefix = `${peer.cluster.name}/`;
    for (const owner of portOwners) {
      if (owner.startsWith(prefix)) tellPorts(owner, undefined);
    }
    touch();
  }

  /** Feeds the engine with what our own cluster says besides; the tables are synced one by one. */
  async function followOwn(signal: AbortSignal): Promise<void> {
    const nothing = (): void => {};
    const follow = <T>(table: Table<T>, onKey: (key: string) => void): Promise<void> =>
      followTable(table, { clock, onKey, onSynced: nothing }, signal);
    await Promise.all([
      follow(own.policies, (key) => {
        told++;
        engine.setPolicy(key, own.policies.get(key));
        touch();
      }),
      follow(own.pods, (pod) => {
        for (const key of keysOfPod.get(pod) ?? []) refreshEndpoint(key);
      }),
      follow(endpoints, onEndpoint),
    ]);
  }

  async function awaitInputs(signal: AbortSignal): Promise<void> {
    await Promise.all([
      tableSynced(own.policies, signal),
      tableSynced(own.pods, signal),
      tableSynced(endpoints, signal),
      tableSynced(settled, signal),
    ]);
  }

  function applyEndpoint(key: string, change: EndpointChange): boolean {
    const endpoint = known.get(key);
    const state = engine.stateOf(key);
    if (endpoint === undefined || state === undefined) return true;
    const place = { ifindex: endpoint.ifindex, identity: state.identity };
    try {
      // Without any policy nobody's labels matter: without a row the pod is open.
      if (state.closed === "unknown-identity" && own.policies.size === 0) {
        target.remove(endpoint.ifindex);
      } else {
        target.apply(place, change, engine.entriesOf(key) ?? new Map());
      }
      enforced.set(key, { place, problem: "" });
      return true;
    } catch (error) {
      const problem = messageFromError(error);
      if (enforced.get(key)?.problem !== problem) {
        log.warn("A pod's policy could not be written", { pod: endpoint.pod, error });
      }
      enforced.set(key, { place, problem });
      return false;
    }
  }

  /** Another identity with the same policy is no change to the engine. */
  function renameEndpoint(key: string): void {
    const written = enforced.get(key);
    const identity = engine.stateOf(key)?.identity;
    if (written === undefined || identity === undefined) return;
    if (written.place.identity === identity) return;
    const place = { ...written.place, identity };
    target.rename(place);
    enforced.set(key, { ...written, place });
  }

  function* closedOfUnknown(): Iterable<string> {
    for (const key of known.keys()) {
      if (engine.stateOf(key)?.closed === "unknown-identity") yield key;
    }
  }

  function wholeOf(key: string): EndpointChange | undefined {
    const reason = engine.stateOf(key)?.closed;
    if (reason !== undefined) return { kind: "closed", reason };
    const entries = engine.entriesOf(key);
    return entries === undefined ? undefined : { kind: "whole", entries };
  }

  /** All that the engine has to say now, and what could not be written before. */
  async function applyOnce(signal: AbortSignal): Promise<void> {
    if (own.policies.size > 0) target.setMode("closed");
    else if (hadPolicies) for (const key of closedOfUnknown()) again.add(key);
    hadPolicies = own.policies.size > 0;
    const { endpoints: changes, rows: cidrs, unfinished } = engine.take();
    const work = new Map<string, EndpointChange>(changes);
    for (const key of again) {
      const whole = wholeOf(key);
      if (whole !== undefined) work.set(key, whole);
    }
    again.clear();
    for (const [key, change] of work) if (!applyEndpoint(key, change)) again.add(key);
    for (const key of refreshed) if (!work.has(key)) renameEndpoint(key);
    refreshed.clear();
    for (const row of cidrs.put) rows.put(row.prefix, row);
    for (const { prefix } of cidrs.deleted) rows.delete(prefix);
    if (cidrs.put.length + cidrs.deleted.length > 0) await options.rowsApplied(cidrs, signal);
    if (unfinished) isDirty = true;
    if (own.policies.size === 0) target.setMode("open");
  }

  /** Until something is told, and not for long: what could not be written is tried again. */
  async function pause(signal: AbortSignal): Promise<void> {
    const told = new AbortController();
    wakeUp = () => told.abort("something was told");
    try {
      await clock.sleep(RETRY_MS, AbortSignal.any([signal, told.signal]));
    } catch (error) {
      if (signal.aborted || !isMeshError(error, "aborted")) throw error;
    }
  }

  async function applyAll(signal: AbortSignal): Promise<void> {
    await awaitInputs(signal);
    const onAbort = (): void => wakeUp();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (!signal.aborted) {
        if (isDirty || again.size > 0) {
          isDirty = false;
          const upTo = told;
          await applyOnce(signal);
          applied = upTo;
        }
        if (!isReady.synced && !isDirty) {
          target.prune(new Set([...enforced.values()].map(({ place }) => place.ifindex)));
          rows.markSynced();
          isReady.markSynced();
        }
        if (isDirty) await clock.sleep(0, signal);
        else if (again.size > 0) await pause(signal);
        else await new Promise<void>((resolve) => (wakeUp = resolve));
      }
    } catch (error) {
      if (!isMeshError(error, "aborted")) throw error;
    }
  }

  return {
    enforced,
    isReady: () => isReady.synced,
    isCurrent: () => isReady.synced && applied === told,
    ready: (signal) => tableSynced(isReady, signal),
    async run(signal) {
      await listConnected({ settlement, peers }, signal);
      if (signal.aborted) return;
      await Promise.all([
        settlement.run(signal),
        followOwn(signal),
        followCluster(own, signal),
        followPeers(peers, { run: followCluster, onGone: onPeerGone }, signal),
        applyAll(signal),
      ]);
    },
  };
}
