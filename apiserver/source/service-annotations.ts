// Annotations of Services and Namespaces → settings. Pure. An invalid value never takes anything
// away: it gives the documented default and a warning that says what would be right.
import { parseClusterName } from "../../mesh/core/cluster.ts";
import { MeshError, messageFromError } from "../../mesh/core/errors.ts";
import {
  DEFAULT_SERVICE_SETTINGS,
  type MinHealthy,
  type ServiceAffinity,
  type ServiceSettings,
} from "../../mesh/core/service.ts";

export interface AnnotationWarning {
  readonly annotation: string;
  readonly message: string;
}

export interface ParsedAnnotations {
  /** Without session affinity, which is a field of the Service and not an annotation. */
  readonly settings: ServiceSettings;
  readonly warnings: readonly AnnotationWarning[];
}

/** The current name first; the aliases are older names that are still in use. */
export const SERVICE_ANNOTATIONS = {
  global: ["service.cilium.io/global", "io.cilium/global-service"],
  shared: ["service.cilium.io/shared", "io.cilium/shared-service"],
  affinity: ["service.cilium.io/affinity", "io.cilium/service-affinity"],
  failoverOrder: ["tombolo.io/failover-order"],
  weights: ["tombolo.io/weights"],
  minHealthy: ["tombolo.io/min-healthy"],
} as const;

/** The weight of one cluster; more than this resolution is not visible in traffic. */
const MAX_WEIGHT = 65_535;
/** One service has at most this many backends in a cluster, so a larger minimum is a mistake. */
const MAX_MIN_HEALTHY = 65_535;

export function parseServiceAnnotations(
  annotations: ReadonlyMap<string, string>,
): ParsedAnnotations {
  const warnings: AnnotationWarning[] = [];
  const read = createReader(annotations, warnings);
  const defaults = DEFAULT_SERVICE_SETTINGS;
  const global = read(SERVICE_ANNOTATIONS.global, parseBoolean, defaults.global);
  const settings: ServiceSettings = {
    ...defaults,
    global,
    shared: read(SERVICE_ANNOTATIONS.shared, parseBoolean, defaults.shared),
    affinity: read<ServiceAffinity>(SERVICE_ANNOTATIONS.affinity, parseAffinity, defaults.affinity),
    failoverOrder: read<string[][]>(SERVICE_ANNOTATIONS.failoverOrder, parseFailoverOrder, []),
    weights: read(SERVICE_ANNOTATIONS.weights, parseWeights, new Map<string, number>()),
    minHealthy: read<MinHealthy | undefined>(
      SERVICE_ANNOTATIONS.minHealthy,
      parseMinHealthy,
      undefined,
    ),
  };
  if (!global) warnings.push(...idleAnnotations(annotations));
  return { settings, warnings };
}

/** On a Namespace: whether what is in it may leave the cluster (reference §3.7). */
const NAMESPACE_GLOBAL = "clustermesh.cilium.io/global";

export function parseNamespaceAnnotations(annotations: ReadonlyMap<string, string>): {
  readonly global: boolean;
  readonly warnings: readonly AnnotationWarning[];
} {
  const warnings: AnnotationWarning[] = [];
  const read = createReader(annotations, warnings);
  return { global: read([NAMESPACE_GLOBAL], parseBoolean, true), warnings };
}

type Read = <T>(names: readonly string[], parse: (text: string) => T, fallback: T) => T;

/** Reads the first annotation of those names that is there; a wrong one gives a warning. */
function createReader(
  annotations: ReadonlyMap<string, string>,
  warnings: AnnotationWarning[],
): Read {
  return (names, parse, fallback) => {
    const annotation = names.find((name) => annotations.has(name));
    if (annotation === undefined) return fallback;
    const text = annotations.get(annotation) ?? "";
    try {
      return parse(text.trim());
    } catch (error) {
      const reason = messageFromError(error);
      const shown = JSON.stringify(text.slice(0, 80));
      warnings.push({ annotation, message: `Cannot use ${shown} as ${annotation}: ${reason}` });
      return fallback;
    }
  };
}

/** What has no effect on a service that is not global, and was surely meant to have one. */
function idleAnnotations(annotations: ReadonlyMap<string, string>): AnnotationWarning[] {
  return Object.values(SERVICE_ANNOTATIONS)
    .slice(1)
    .flat()
    .filter((annotation) => annotations.has(annotation))
    .map((annotation) => ({
      annotation,
      message: `Cannot apply ${annotation}: the service is not global, want ${SERVICE_ANNOTATIONS.global[0]}: "true" beside it`,
    }));
}

// The spellings that Go's ParseBool takes, because those are the ones found in the field.
function parseBoolean(text: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  throw wanted('"true" or "false"');
}

function parseAffinity(text: string): ServiceAffinity {
  const value = text.toLowerCase();
  if (value === "none" || value === "local" || value === "remote") return value;
  throw wanted('"none", "local" or "remote"');
}

/** `west+north,south`: tiers by comma, equal rank by plus; a cluster stands in one tier. */
function parseFailoverOrder(text: string): string[][] {
  const tiers = text.split(",").map((tier) => tier.split("+").map((name) => name.trim()));
  const names = tiers.flat();
  for (const name of names) parseClusterName(name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw wanted(`every cluster once, "${twice}" stands there twice`);
  return tiers;
}

/** `east=90,west=10`: whole numbers; 0 takes a cluster out. */
function parseWeights(text: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const part of text.split(",")) {
    const [name = "", value = "", ...rest] = part.split("=").map((piece) => piece.trim());
    if (rest.length > 0 || !/^\d{1,5}$/.test(value) || Number(value) > MAX_WEIGHT) {
      throw wanted(`CLUSTER=WEIGHT,… with whole numbers from 0 to ${MAX_WEIGHT}`);
    }
    parseClusterName(name);
    if (weights.has(name)) throw wanted(`every cluster once, "${name}" stands there twice`);
    weights.set(name, Number(value));
  }
  if ([...weights.values()].every((weight) => weight === 0)) {
    throw wanted("at least one weight above 0");
  }
  return weights;
}

function parseMinHealthy(text: string): MinHealthy {
  const [, digits = "", percent] = /^(\d{1,5})(%?)$/.exec(text) ?? [];
  const number = Number(digits);
  const limit = percent === "%" ? 100 : MAX_MIN_HEALTHY;
  if (digits === "" || number < 1 || number > limit) {
    throw wanted(`a number from 1 to ${MAX_MIN_HEALTHY} or a share from "1%" to "100%"`);
  }
  return percent === "%" ? { kind: "percent", percent: number } : { kind: "count", count: number };
}

function wanted(what: string): MeshError {
  return new MeshError("invalid_argument", `want ${what}`);
}
