// Our own cluster into our own etcd: the desired tables by kind, the single keys that describe
// the cluster, and the retry of what could not be planned.
//
//   source ─► planner ─► desired tables ─► a writer each ─► cilium/state, tombolo/local
//                                                         └► canaries, then the heartbeat
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterIdentity } from "../../mesh/core/cluster.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { PolicyScope } from "../../mesh/core/policy.ts";
import type { LocalService } from "../../mesh/core/service.ts";
import { runTasks, type Task } from "../../mesh/core/tasks.ts";
import { runHeartbeat } from "../../mesh/kvstore/heartbeat.ts";
import { clusterConfigKey, versionKey } from "../../mesh/kvstore/keys.ts";
import {
  encodeClusterConfig,
  OWN_CAPABILITIES,
} from "../../mesh/kvstore/records/cluster-config.ts";
import { parseLocalService } from "../../mesh/kvstore/records/local-service.ts";
import { encodeVersion } from "../../mesh/kvstore/records/version.ts";
import type { WritableStore } from "../../mesh/kvstore/store.ts";
import type { IdentityAllocator } from "../identity/allocator.ts";
import {
  createKindWriter,
  createSingleKeysWriter,
  type EtcdWriter,
  type WriterStatus,
} from "../kind-writer.ts";
import type { Source } from "../source/objects.ts";
import { bufferTable, createDesiredTables, DESIRED_KINDS, type DesiredKind } from "./desired.ts";
import { createExportPlanner } from "./planner.ts";
import { createPolicyPlanner } from "./policy-planner.ts";

export interface ExporterOptions {
  readonly cluster: ClusterIdentity;
  readonly version: string;
  /** Where peers meet our operations plane. */
  readonly leafEndpoints?: readonly string[];
  readonly source: Source;
  readonly identities: IdentityAllocator;
  /** What a policy's selector means that names no cluster. */
  readonly policyScope: PolicyScope;
  readonly store: WritableStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface ExporterStatus {
  readonly kinds: ReadonlyMap<DesiredKind | "cluster", WriterStatus>;
  /** "Pod shop/cart" → why it is not exported. */
  readonly unplannable: ReadonlyMap<string, string>;
}

export interface Exporter {
  run(signal: AbortSignal): Promise<void>;
  reapply(keys: readonly string[]): void;
  status(): ExporterStatus;
  /** Every service of our own, as our agents read it. */
  localServices(): Iterable<LocalService>;
}

/** What could not be planned (no identity was free) may be possible by now. */
const RETRY_UNPLANNABLE_MS = 30_000;
const WHOLE_CHECK_MS = 50;

export function createExporter(options: ExporterOptions): Exporter {
  const { cluster, clock } = options;
  const desired = createDesiredTables(cluster.name);
  const planner = createExportPlanner({ ...options, desired });
  const policies = createPolicyPlanner({
    ...options,
    scope: options.policyScope,
    desired: desired.policies,
  });
  const single = bufferTable("export/cluster");
  single.put(
    clusterConfigKey(cluster.name),
    encodeClusterConfig({ cluster, capabilities: OWN_CAPABILITIES }),
  );
  single.put(versionKey(cluster.name), encodeVersion(options.version, options.leafEndpoints));
  const writers = new Map<DesiredKind | "cluster", EtcdWriter>([
    ["cluster", createSingleKeysWriter({ ...options, desired: single })],
    ...DESIRED_KINDS.map((kind): [DesiredKind, EtcdWriter] => {
      const { table, prefix, canaryKey } = desired[kind];
      return [kind, createKindWriter({ ...options, desired: table, prefix, canaryKey })];
    }),
  ]);

  async function runRetries(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(RETRY_UNPLANNABLE_MS, signal);
      if (planner.unplannable().size > 0) await planner.retry();
    }
  }

  /**
   * The heartbeat says that all we export is there, so it begins when that is true. Policies have
   * their own canary and are not waited for: a kind of theirs that cannot be listed must not make
   * the whole cluster look dead.
   */
  async function beat(signal: AbortSignal): Promise<void> {
    while (!isWhole()) await clock.sleep(WHOLE_CHECK_MS, signal);
    await runHeartbeat(options, signal);
  }

  function isWhole(): boolean {
    return [...writers].every(([kind, writer]) => kind === "policies" || writer.status().synced);
  }

  return {
    run(signal) {
      const tasks: Task[] = [
        { name: "export planner", run: (inner) => planner.run(inner) },
        { name: "policy planner", run: (inner) => policies.run(inner) },
        { name: "export retries", run: runRetries },
        { name: "heartbeat", run: beat },
        ...[...writers].map(([kind, writer]) => ({
          name: `export ${kind}`,
          run: (inner: AbortSignal) => writer.run(inner),
        })),
      ];
      return runTasks(tasks, signal);
    },
    reapply(keys) {
      for (const writer of writers.values()) writer.reapply(keys);
    },
    *localServices() {
      const { table, prefix } = desired["local-services"];
      for (const [key, value] of table.entries()) {
        yield parseLocalService(key.slice(prefix.length), value, cluster);
      }
    },
    status: () => ({
      kinds: new Map([...writers].map(([kind, writer]) => [kind, writer.status()])),
      unplannable: planner.unplannable(),
    }),
  };
}
