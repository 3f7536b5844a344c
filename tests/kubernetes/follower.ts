// A Kubernetes source on a kubeconfig, and its tables, for tests that compare tables.
import { createRecorders } from "../../apiserver/source/kubernetes/recorders.ts";
import {
  createKubernetesSource,
  type KubernetesSource,
} from "../../apiserver/source/kubernetes/kubernetes-source.ts";
import { createSource, SOURCE_KINDS, type WritableSource } from "../../apiserver/source/objects.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import type { KubernetesAccess } from "../../mesh/kubernetes/kubeconfig.ts";
import { createKubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import type { WatchLimits } from "../../mesh/kubernetes/watch-loop.ts";

export interface Follower {
  readonly tables: WritableSource;
  readonly source: KubernetesSource;
  readonly synced: () => boolean;
  /** Everything in the tables, comparable. */
  contents(): Record<string, unknown>;
  readonly stop: () => Promise<void>;
}

export function follow(access: KubernetesAccess, limits?: WatchLimits): Follower {
  const tables = createSource();
  const seams = { clock: systemClock, random: Math.random, log: silentLogger };
  const transport = createKubernetesTransport(access, seams);
  const events = createRecorders({ ...seams, transport });
  const more = limits === undefined ? {} : { limits };
  const source = createKubernetesSource({ ...seams, transport, events, source: tables, ...more });
  const abort = new AbortController();
  const running = source.run(abort.signal);
  return {
    tables,
    source,
    synced: () => SOURCE_KINDS.every((kind) => tables[kind].synced),
    contents: () =>
      Object.fromEntries(
        SOURCE_KINDS.map((kind) => [kind, Object.fromEntries(tables[kind].entries())]),
      ),
    async stop() {
      abort.abort();
      await running;
    },
  };
}
