// Where the cluster's state comes from, by the configuration: a directory of manifests or a
// Kubernetes API. Both fill the same tables; nothing behind them knows which it is.
import { join } from "node:path";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { ApiserverConfig } from "../config.ts";
import { createRecorders } from "./kubernetes/recorders.ts";
import { createKubernetesSource } from "./kubernetes/kubernetes-source.ts";
import { createKubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { createManifestSource } from "./manifests/directory.ts";
import { createLastGood } from "./manifests/last-good.ts";
import type { SourceStatus, WritableSource } from "./objects.ts";

export interface Origin {
  /** In the plural, for sentences: "the manifests". */
  readonly name: string;
  /** Where it is found; empty before that is known. */
  place(): string;
  status(): SourceStatus;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createOrigin(
  config: Pick<ApiserverConfig, "directory" | "source">,
  seams: {
    readonly source: WritableSource;
    readonly clock: Clock;
    readonly random: () => number;
    readonly log: Logger;
  },
): Origin {
  if (config.source.kind === "kubernetes") {
    const transport = createKubernetesTransport(config.source, seams);
    const events = createRecorders({ ...seams, transport });
    const kubernetes = createKubernetesSource({ ...seams, transport, events });
    return { name: "the objects of Kubernetes", place: () => transport.server, ...kubernetes };
  }
  const paths = clusterPaths(config.directory);
  const manifests = createManifestSource({
    ...seams,
    directory: paths.manifests,
    lastGood: createLastGood(join(paths.run, "last-good")),
  });
  return { name: "the manifests", place: () => paths.manifests, ...manifests };
}
