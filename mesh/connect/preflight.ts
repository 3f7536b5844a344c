// Judging whether clusters can become one network, before anything is written. Pure: facts in,
// findings out, each with its own sentence and hint. An `error` forbids connecting.
import { bundlesIntersect } from "../../pki/bundle.ts";
import type { ClusterFacts, EndpointFacts } from "./cluster-facts.ts";
import { findPrefixConflicts } from "./prefix-conflicts.ts";

export interface Finding {
  readonly severity: "error" | "warning";
  readonly rule: FindingRule;
  readonly message: string;
  readonly hint: string;
}

export type FindingRule =
  | "self"
  | "duplicate-name"
  | "duplicate-id"
  | "identity-width"
  | "config-mismatch"
  | "pod-prefix-overlap"
  | "encryption-mode"
  | "apiserver-unreachable"
  | "endpoint-unreachable"
  | "endpoint-untrusted"
  | "peer-unreachable"
  | "clock-skew"
  | "peer-other-authority"
  | "version";

/**
 * Certificates are backdated five minutes and tokens live for minutes; a minute of skew leaves
 * both intact, and any machine with time synchronisation is far below it.
 */
export const CLOCK_SKEW_LIMIT_MS = 60_000;

/** Overlaps are named one by one up to this number; more would bury the other findings. */
const MAX_OVERLAPS_NAMED = 3;

/** How one cluster's etcd answers where another cluster's apiserver runs. */
export interface Reach {
  readonly reader: string;
  readonly peer: string;
  readonly endpoints: readonly EndpointFacts[];
}

/** All findings, errors first. `reaches`: as far as they are known. */
export function preflight(
  clusters: readonly ClusterFacts[],
  reaches: readonly Reach[] = [],
): Finding[] {
  const findings = [
    ...clusters.flatMap((facts) => [
      ...checkEndpoints(facts),
      ...checkApiserver(facts),
      ...checkAdvertised(facts),
      ...checkClock(facts),
    ]),
    ...pairs(clusters).flatMap(([a, b]) => checkPair(a, b)),
    ...checkPrefixes(clusters),
    ...reaches.flatMap(checkReach),
  ];
  const rank = { error: 0, warning: 1 };
  return findings.sort((a, b) => rank[a.severity] - rank[b.severity]);
}

export function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some(({ severity }) => severity === "error");
}

function checkPair(a: ClusterFacts, b: ClusterFacts): Finding[] {
  if (a.profile.name === b.profile.name) return [checkSameName(a, b)];
  return [
    ...checkIds(a, b),
    ...checkWidth(a, b),
    ...checkPairClocks(a, b),
    ...checkKnownPeer(a, b),
    ...checkKnownPeer(b, a),
    ...checkEncryption(a, b),
    ...checkVersions(a, b),
  ];
}

function checkSameName(a: ClusterFacts, b: ClusterFacts): Finding {
  const { name } = a.profile;
  if (bundlesIntersect(a.bundle, b.bundle)) {
    return error(
      "self",
      `Cluster "${name}" cannot be connected to itself: "${a.context}" and "${b.context}" lead to the same one`,
      "name two different clusters",
    );
  }
  return error(
    "duplicate-name",
    `Both clusters are called "${name}": "${a.context}" and "${b.context}"`,
    "a cluster's name cannot change while it runs; set up one of them under another name",
  );
}

function checkIds(a: ClusterFacts, b: ClusterFacts): Finding[] {
  const hint = "every cluster of a mesh needs its own id; set up one of them with another id";
  if (a.profile.id === b.profile.id) {
    const message = `Clusters "${a.profile.name}" and "${b.profile.name}" both have id ${a.profile.id}`;
    return [error("duplicate-id", message, hint)];
  }
  return [[a, b] as const, [b, a] as const].flatMap(([here, there]) =>
    here.peers
      .filter(({ name, id }) => name !== there.profile.name && id === there.profile.id)
      .map(({ name, id }) =>
        error(
          "duplicate-id",
          `Cluster "${there.profile.name}" has id ${id}, which "${name}", a peer of "${here.profile.name}", has too`,
          hint,
        ),
      ),
  );
}

function checkWidth(a: ClusterFacts, b: ClusterFacts): Finding[] {
  const [one, other] = [a.profile, b.profile];
  if (one.maxConnectedClusters === other.maxConnectedClusters) return [];
  return [
    error(
      "identity-width",
      `Cluster "${one.name}" is set up for ${one.maxConnectedClusters} clusters and "${other.name}" for ${other.maxConnectedClusters}: the same identity would mean different things`,
      "maxConnectedClusters must be equal in the whole mesh and cannot change later; set up one of them anew",
    ),
  ];
}

function checkKnownPeer(here: ClusterFacts, there: ClusterFacts): Finding[] {
  const known = here.peers.find(({ name }) => name === there.profile.name);
  if (known?.bundle === undefined || bundlesIntersect(known.bundle, there.bundle)) return [];
  return [
    error(
      "peer-other-authority",
      `Cluster "${here.profile.name}" already knows a peer called "${there.profile.name}", but under another certificate authority`,
      `if "${there.profile.name}" was set up anew, run \`mesh disconnect ${here.context} ${there.context} --force\` first`,
    ),
  ];
}

function checkEndpoints({ profile, endpoints }: ClusterFacts): Finding[] {
  return endpoints.flatMap(({ endpoint, answer }) => {
    if (answer.kind === "unreachable") {
      return error(
        "endpoint-unreachable",
        `The etcd of cluster "${profile.name}" does not answer at ${endpoint}: ${answer.reason}`,
        "check that its apiserver runs and that the address can be reached from here",
      );
    }
    if (answer.kind === "untrusted") {
      return error(
        "endpoint-untrusted",
        `The endpoint ${endpoint} does not belong to cluster "${profile.name}": ${answer.reason}`,
        `check that the endpoint is right and that its certificate was signed by an authority in the cluster's pki/ca-bundle.crt`,
      );
    }
    return [];
  });
}

/** One endpoint that answers is enough: a reader finds it. */
function checkReach({ reader, peer, endpoints }: Reach): Finding[] {
  const answers = endpoints.map(({ answer }) => answer);
  const failed = answers.find(({ kind }) => kind === "untrusted") ?? answers[0];
  if (failed === undefined || failed.kind === "reachable") return [];
  if (answers.some(({ kind }) => kind === "reachable")) return [];
  const { endpoint = "" } = endpoints.find(({ answer }) => answer === failed) ?? {};
  const where = endpoints.length === 1 ? endpoint : `any of ${endpoints.length} endpoints`;
  const reason = endpoints.length === 1 ? failed.reason : `${endpoint}: ${failed.reason}`;
  return [
    error(
      "peer-unreachable",
      `The apiserver of cluster "${reader}" does not reach the etcd of cluster "${peer}" at ${where}: ${reason}`,
      `let the nodes of "${reader}" connect to these addresses, or give "${peer}" an endpoint that they reach`,
    ),
  ];
}

function checkApiserver({ profile, apiserverProblem }: ClusterFacts): Finding[] {
  if (apiserverProblem === undefined) return [];
  return [
    error(
      "apiserver-unreachable",
      `The apiserver of cluster "${profile.name}" does not answer: ${apiserverProblem}`,
      "start it; without it the cluster would not read its peers",
    ),
  ];
}

function checkAdvertised({ profile, advertised }: ClusterFacts): Finding[] {
  if (advertised === undefined) return [];
  const { id, maxConnectedClusters } = advertised;
  if (id === profile.id && maxConnectedClusters === profile.maxConnectedClusters) return [];
  return [
    error(
      "config-mismatch",
      `The etcd of cluster "${profile.name}" says id ${id} of ${maxConnectedClusters}, its profile says id ${profile.id} of ${profile.maxConnectedClusters}`,
      "restart its apiserver, so that it exports what cluster.json says",
    ),
  ];
}

function checkClock(facts: ClusterFacts): Finding[] {
  const offset = clockOffset(facts);
  if (offset === undefined || Math.abs(offset) <= CLOCK_SKEW_LIMIT_MS) return [];
  const direction = offset > 0 ? "ahead of" : "behind";
  return [
    error(
      "clock-skew",
      `The clock of cluster "${facts.profile.name}" is ${seconds(offset)} ${direction} this machine's; the limit is ${seconds(CLOCK_SKEW_LIMIT_MS)}`,
      "synchronise the clocks (NTP) and try again: certificates are only valid between two dates",
    ),
  ];
}

function checkPairClocks(a: ClusterFacts, b: ClusterFacts): Finding[] {
  const [one, other] = [clockOffset(a), clockOffset(b)];
  if (one === undefined || other === undefined) return [];
  // A clock that is wrong by this machine's has its own finding.
  if (Math.max(Math.abs(one), Math.abs(other)) > CLOCK_SKEW_LIMIT_MS) return [];
  const skew = one - other;
  if (Math.abs(skew) <= CLOCK_SKEW_LIMIT_MS) return [];
  return [
    error(
      "clock-skew",
      `The clocks of clusters "${a.profile.name}" and "${b.profile.name}" differ by ${seconds(skew)}; the limit is ${seconds(CLOCK_SKEW_LIMIT_MS)}`,
      "synchronise the clocks (NTP) and try again",
    ),
  ];
}

function checkEncryption(a: ClusterFacts, b: ClusterFacts): Finding[] {
  const [one, other] = [a.encryption.join(" and "), b.encryption.join(" and ")];
  if (one === "" || other === "" || one === other) return [];
  return [
    error(
      "encryption-mode",
      `Nodes of cluster "${a.profile.name}" encrypt with ${one} and nodes of "${b.profile.name}" with ${other}`,
      "all nodes of a mesh must encrypt in the same way, or none; change one of the clusters",
    ),
  ];
}

function checkVersions(a: ClusterFacts, b: ClusterFacts): Finding[] {
  const [one, other] = [a.version, b.version];
  if (one === "" || other === "" || minorOf(one) === minorOf(other)) return [];
  return [
    {
      severity: "warning",
      rule: "version",
      message: `Cluster "${a.profile.name}" runs version ${one} and "${b.profile.name}" ${other}`,
      hint: "neighbouring versions work together; upgrade the older one when you can",
    },
  ];
}

function checkPrefixes(clusters: readonly ClusterFacts[]): Finding[] {
  const conflicts = findPrefixConflicts(clusters.flatMap(({ prefixes }) => prefixes));
  const named = conflicts.slice(0, MAX_OVERLAPS_NAMED);
  const more = conflicts.length - named.length;
  return named.map(({ outer, inner }, index) =>
    error(
      "pod-prefix-overlap",
      `Pod prefix ${inner.prefix} of cluster "${inner.cluster}" (node "${inner.node}") overlaps ${outer.prefix} of cluster "${outer.cluster}" (node "${outer.node}")` +
        (index === named.length - 1 && more > 0 ? `, and ${more} more overlap` : ""),
      "pods of one mesh need addresses of their own; give one of the clusters another pod range",
    ),
  );
}

function clockOffset({ endpoints }: ClusterFacts): number | undefined {
  const offsets = endpoints.flatMap(({ answer }) =>
    answer.kind === "reachable" && answer.clockOffsetMs !== undefined ? [answer.clockOffsetMs] : [],
  );
  return offsets.sort((a, b) => Math.abs(b) - Math.abs(a))[0];
}

function pairs<T>(items: readonly T[]): (readonly [T, T])[] {
  return items.flatMap((a, i) => items.slice(i + 1).map((b) => [a, b] as const));
}

function seconds(ms: number): string {
  return `${Math.round(Math.abs(ms) / 1000)} s`;
}

function minorOf(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

function error(rule: FindingRule, message: string, hint: string): Finding {
  return { severity: "error", rule, message, hint };
}
