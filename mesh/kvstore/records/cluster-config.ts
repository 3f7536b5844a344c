// What a cluster says of itself before anything else is read (reference §1.7): its id and what
// its etcd can do.
import {
  parseClusterName,
  type ClusterIdentity,
  type MaxConnectedClusters,
} from "../../core/cluster.ts";
import { messageFromError } from "../../core/errors.ts";
import { openRecord, refusal, type RecordFields, type RecordSubject } from "./record-fields.ts";

/** In Cilium's words. Only clusters that export services at all can take part in global ones. */
export type EndpointSlicesExportMode = "" | "services-and-endpointslices" | "endpointslices-only";

export interface ClusterConfig {
  readonly cluster: ClusterIdentity;
  readonly capabilities: ClusterCapabilities;
}

export interface ClusterCapabilities {
  /** A canary appears under each prefix once its first full write is done: wait for it. */
  readonly syncedCanaries: boolean;
  /** The data stands under `cilium/cache`, scoped by cluster. */
  readonly cached: boolean;
  /** undefined: the cluster does not know MCS service exports; false: they are switched off. */
  readonly serviceExportsEnabled: boolean | undefined;
  readonly endpointSlicesExportMode: EndpointSlicesExportMode;
}

const EXPORT_MODES: readonly EndpointSlicesExportMode[] = [
  "",
  "services-and-endpointslices",
  "endpointslices-only",
];

/** What a Tombolo cluster writes for itself. */
export const OWN_CAPABILITIES: ClusterCapabilities = {
  syncedCanaries: true,
  cached: false,
  serviceExportsEnabled: undefined,
  endpointSlicesExportMode: "",
};

/** The tail of the record's key. */
export function clusterConfigName(config: ClusterConfig): string {
  return config.cluster.name;
}

export function encodeClusterConfig(config: ClusterConfig): Buffer {
  const { cluster, capabilities } = config;
  return Buffer.from(
    JSON.stringify({
      id: cluster.id,
      capabilities: {
        syncedCanaries: capabilities.syncedCanaries,
        cached: capabilities.cached,
        maxConnectedClusters: cluster.maxConnectedClusters,
        serviceExportsEnabled: capabilities.serviceExportsEnabled ?? null,
        endpointSlicesExportMode: capabilities.endpointSlicesExportMode,
      },
    }),
  );
}

/** The config as its mirrored copy says it: canaries are written, the data is in the cache. */
export function cachedClusterConfig(config: ClusterConfig): ClusterConfig {
  return {
    ...config,
    capabilities: { ...config.capabilities, syncedCanaries: true, cached: true },
  };
}

/** Throws `invalid_argument` for a config that must not be believed. */
export function parseClusterConfig(name: string, value: Buffer): ClusterConfig {
  const subject: RecordSubject = { kind: "cluster config", name };
  try {
    parseClusterName(name);
  } catch (error) {
    throw refusal(subject, messageFromError(error));
  }
  const fields = openRecord(subject, value);
  const capabilities = fields.object("capabilities");
  const maxConnectedClusters = maxConnectedClustersFromFields(capabilities);
  const id = fields.integer("id", { min: 1, max: maxConnectedClusters });
  return {
    cluster: { name, id, maxConnectedClusters },
    capabilities: {
      syncedCanaries: capabilities.flag("syncedCanaries"),
      cached: capabilities.flag("cached"),
      serviceExportsEnabled: capabilities.has("serviceExportsEnabled")
        ? capabilities.flag("serviceExportsEnabled")
        : undefined,
      endpointSlicesExportMode: capabilities.has("endpointSlicesExportMode")
        ? capabilities.choice("endpointSlicesExportMode", EXPORT_MODES)
        : "",
    },
  };
}

/** Clusters from before the field was there have the only width there was: 255. */
function maxConnectedClustersFromFields(fields: RecordFields): MaxConnectedClusters {
  const field = "maxConnectedClusters";
  const value = fields.integer(field, { min: 0, max: 0xffff_ffff, missing: 0 });
  if (value === 0 || value === 255) return 255;
  if (value === 511) return 511;
  throw fields.refuse(field, { got: value, want: "255 or 511" });
}
