// Every service of a cluster with its settings, for the cluster's own agents: the wire's service
// beside what the annotations asked for. Tombolo's own record; peers do not read it.
import { parseClusterName, type ClusterIdentity } from "../../core/cluster.ts";
import {
  serviceKey,
  type LocalService,
  type MinHealthy,
  type ServiceAffinity,
  type ServiceSettings,
} from "../../core/service.ts";
import { openRecord, type RecordFields, type TextRule } from "./record-fields.ts";
import { jsonFromService, serviceFromFields } from "./service.ts";

/** As many tiers, and clusters in one, as the widest mesh has clusters. */
export const MAX_FAILOVER_CLUSTERS = 511;
/** The datapath's weights are 16 bits wide. */
export const MAX_CLUSTER_WEIGHT = 65_535;
/** Kubernetes' own bound for `sessionAffinityConfig.clientIP.timeoutSeconds`. */
export const MAX_SESSION_AFFINITY_SECONDS = 86_400;
const MAX_MIN_HEALTHY_COUNT = 1_000_000;

const AFFINITIES: readonly ServiceAffinity[] = ["none", "local", "remote"];
const CLUSTER_NAME: TextRule = {
  maxLength: 32,
  pattern: /^([a-z0-9][-a-z0-9]*)?[a-z0-9]$/,
  want: "a cluster's name",
};

/** The tail of the record's key: `namespace/name`. */
export function localServiceName(local: LocalService): string {
  return serviceKey(local.service);
}

export function encodeLocalService(local: LocalService): Buffer {
  const { failoverOrder, weights, minHealthy, ...plain } = local.settings;
  return Buffer.from(
    JSON.stringify({
      service: jsonFromService(local.service),
      settings: {
        ...plain,
        failoverOrder,
        weights: Object.fromEntries(weights),
        minHealthy: minHealthy ?? null,
      },
    }),
  );
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseLocalService(
  name: string,
  value: Buffer,
  cluster: ClusterIdentity,
): LocalService {
  const fields = openRecord({ kind: "local service", name }, value);
  return {
    service: serviceFromFields(fields.object("service"), cluster),
    settings: settingsFromFields(fields.object("settings")),
  };
}

function settingsFromFields(fields: RecordFields): ServiceSettings {
  return {
    global: fields.flag("global"),
    shared: fields.flag("shared", true),
    affinity: fields.has("affinity") ? fields.choice("affinity", AFFINITIES) : "none",
    sessionAffinitySeconds: fields.integer("sessionAffinitySeconds", {
      min: 0,
      max: MAX_SESSION_AFFINITY_SECONDS,
      missing: 0,
    }),
    failoverOrder: failoverOrderFromFields(fields),
    weights: weightsFromFields(fields.object("weights")),
    minHealthy: fields.has("minHealthy")
      ? minHealthyFromFields(fields.object("minHealthy"))
      : undefined,
  };
}

function failoverOrderFromFields(fields: RecordFields): string[][] {
  const tiers = fields.list("failoverOrder", MAX_FAILOVER_CLUSTERS);
  return tiers
    .keys(MAX_FAILOVER_CLUSTERS)
    .map((tier) => tiers.texts(tier, { maxItems: MAX_FAILOVER_CLUSTERS, rule: CLUSTER_NAME }));
}

function weightsFromFields(fields: RecordFields): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const name of fields.keys(MAX_FAILOVER_CLUSTERS)) {
    fields.checkKey(name, CLUSTER_NAME);
    weights.set(parseClusterName(name), fields.integer(name, { min: 0, max: MAX_CLUSTER_WEIGHT }));
  }
  return weights;
}

function minHealthyFromFields(fields: RecordFields): MinHealthy {
  return fields.choice("kind", ["count", "percent"]) === "count"
    ? { kind: "count", count: fields.integer("count", { min: 0, max: MAX_MIN_HEALTHY_COUNT }) }
    : { kind: "percent", percent: fields.integer("percent", { min: 0, max: 100 }) };
}
