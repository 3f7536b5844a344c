// Services as this node's datapath chooses for them, for whoever plans a drill: groups in order,
// what is usable and in use now, and on which node each backend lives. In pages, by name.
import type { ClusterId } from "../../mesh/core/cluster.ts";
import type { Table } from "../../mesh/core/table.ts";
import { parseAddress } from "../../mesh/core/address.ts";
import type { GroupFacts, ServiceFacts, ServicesAnswer } from "../../mesh/operations/questions.ts";
import type { ClusterIntent, Intent } from "../intent/intent.ts";
import type { Frontend, IsBackendDown } from "../plan/plan-service.ts";
import type { BackendGroup } from "../plan/rank-clusters.ts";

export interface ServiceFactsParts {
  readonly intent: Intent;
  readonly frontends: Pick<Table<Frontend>, "entries">;
  readonly isDown: IsBackendDown;
  /** Whether a cluster may be given new connections now, over this family. */
  readonly usable: (clusterId: ClusterId, family: "ipv4" | "ipv6") => boolean;
}

/** Of JSON; what a message may hold is a multiple. */
const PAGE_MAX_CHARACTERS = 512 * 1024;

export function listServiceFacts(parts: ServiceFactsParts, after: string): ServicesAnswer {
  const { own } = parts.intent;
  const frontends = new Map<string, Frontend[]>();
  for (const [, frontend] of parts.frontends.entries()) {
    const { service } = frontend;
    if (service <= after) continue;
    const list = frontends.get(service);
    if (list === undefined) frontends.set(service, [frontend]);
    else list.push(frontend);
  }
  const names = [...own.services.entries()].map(([name]) => name).filter((name) => name > after);
  const nodeOf = createNodeNames(parts.intent);
  const services: ServiceFacts[] = [];
  let characters = 0;
  for (const name of names.sort()) {
    const settings = own.services.get(name)?.settings;
    if (settings === undefined) continue;
    const facts = {
      service: name,
      global: settings.global,
      ...(settings.minHealthy === undefined ? {} : { minHealthy: settings.minHealthy }),
      frontends: (frontends.get(name) ?? [])
        .sort((a, b) => (a.key < b.key ? -1 : 1))
        .map((frontend) => frontendFacts(frontend, { ...parts, nodeOf })),
    };
    characters += JSON.stringify(facts).length;
    // One that is too large for a page has a page of its own.
    if (characters > PAGE_MAX_CHARACTERS && services.length > 0) return { services, more: true };
    services.push(facts);
  }
  return { services, more: false };
}

type NodeOf = (backend: { readonly clusterId: ClusterId; readonly address: string }) => string;

function frontendFacts(
  frontend: Frontend,
  parts: ServiceFactsParts & { readonly nodeOf: NodeOf },
): ServiceFacts["frontends"][number] {
  const { address, port, protocol } = frontend;
  const family = parseAddress(address).family === 4 ? "ipv4" : "ipv6";
  const isUp = (group: BackendGroup, backend: BackendGroup["backends"][number]): boolean =>
    !parts.isDown({ ...backend, clusterId: group.clusterId, protocol });
  const groups = frontend.groups.map((group) => {
    const usable = parts.usable(group.clusterId, family);
    // The datapath passes over a group of which every backend is down.
    const serves = usable && group.weight > 0 && group.backends.some((one) => isUp(group, one));
    return { group, usable, serves };
  });
  const tierInUse = groups.find(({ serves }) => serves)?.group.tier;
  return {
    address,
    port,
    protocol,
    groups: groups.map(({ group, usable, serves }): GroupFacts => {
      const { cluster, clusterId, tier, weight, backends } = group;
      return {
        cluster,
        tier,
        weight,
        usable,
        inUse: serves && tier === tierInUse,
        backends: backends.map((backend) => ({
          address: backend.address,
          port: backend.port,
          node: parts.nodeOf({ clusterId, address: backend.address }),
          up: isUp(group, backend),
        })),
      };
    }),
  };
}

/** By the address that the backend's node is reached at. */
function createNodeNames({ own, peers }: Intent): NodeOf {
  const clusters = new Map<ClusterId, { intent: ClusterIntent; names: Map<string, string> }>();
  for (const intent of [own, ...[...peers.entries()].map(([, peer]) => peer)]) {
    const names = new Map<string, string>();
    for (const [name, { addresses }] of intent.nodes.entries()) {
      for (const { ip } of addresses) names.set(ip, name);
    }
    clusters.set(intent.cluster.id, { intent, names });
  }
  return ({ clusterId, address }) => {
    const cluster = clusters.get(clusterId);
    const endpoint = cluster?.intent.endpoints.get(address);
    // Pods of the host's network have the node's own address.
    return cluster?.names.get(endpoint?.hostIp ?? "") ?? cluster?.names.get(address) ?? "";
  };
}
