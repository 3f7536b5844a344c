// The subjects of the operations plane (DESIGN.md, "Operations plane"). Names that people choose
// become tokens of subjects here, so they are checked here: a wildcard in one would be a grant.
import { parseClusterName } from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";
import { EVENT_KINDS, type EventKind } from "./event.ts";

/** Whom one asks for the apiserver of a cluster; no node can be called so. */
export const APISERVER_NODE = "_apiserver";

/** Names of nodes may have dots: then they are several tokens, which `>` covers. */
const NODE = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;
const DRILL = /^[a-z0-9][-a-z0-9]{0,62}$/;

export function eventSubject(cluster: string, kind: EventKind): string {
  return `tombolo.events.${parseClusterName(cluster)}.${kind}`;
}

/** What covers the events of one cluster or all, of one kind or all. */
export function eventFilter(filter: { cluster?: string; kind?: EventKind } = {}): string {
  const cluster = filter.cluster === undefined ? "*" : parseClusterName(filter.cluster);
  return `tombolo.events.${cluster}.${filter.kind ?? "*"}`;
}

export function drillSubject(cluster: string, drill: string): string {
  return `tombolo.drills.${parseClusterName(cluster)}.${parseDrillToken(drill)}`;
}

/** What covers one drill or all, of one cluster or all. */
export function drillFilter(filter: { cluster?: string; drill?: string } = {}): string {
  const cluster = filter.cluster === undefined ? "*" : parseClusterName(filter.cluster);
  const drill = filter.drill === undefined ? "*" : parseDrillToken(filter.drill);
  return `tombolo.drills.${cluster}.${drill}`;
}

/** Where a node's agent, or with `APISERVER_NODE` the apiserver, is asked. */
export function askSubject({ cluster, node }: { cluster: string; node: string }): string {
  if (node !== APISERVER_NODE && !NODE.test(node)) {
    throw new MeshError(
      "invalid_argument",
      `Cannot ask node ${JSON.stringify(node.slice(0, 80))}: want the name of a node`,
    );
  }
  return `tombolo.ask.${parseClusterName(cluster)}.${node}`;
}

/** The cluster and kind that a subject of an event names; undefined for any other subject. */
export function partsOfEventSubject(
  subject: string,
): { readonly cluster: string; readonly kind: EventKind } | undefined {
  const [, cluster = "", word = ""] = /^tombolo\.events\.([^.]+)\.([^.]+)$/.exec(subject) ?? [];
  const kind = EVENT_KINDS.find((known) => known === word);
  return kind === undefined ? undefined : { cluster, kind };
}

function parseDrillToken(drill: string): string {
  if (DRILL.test(drill)) return drill;
  throw new MeshError(
    "invalid_argument",
    `Cannot use ${JSON.stringify(drill.slice(0, 80))} as the id of a drill: want at most 63 lower-case letters, digits and dashes`,
  );
}
