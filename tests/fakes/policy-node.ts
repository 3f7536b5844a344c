// A node that enforces policy, on memory maps: the real engine, planner and target on intent that
// a test writes by hand. Two clusters, east (own) and west.
import { createPolicyTarget } from "../../agent/apply/policy-target.ts";
import { createPolicyPlanner } from "../../agent/desired/policy.ts";
import type { LocalEndpoint } from "../../agent/endpoints/local-endpoints.ts";
import { createPolicyEngine, type CidrRow } from "../../agent/policy/engine.ts";
import type { PolicyReportParts } from "../../agent/status/policy-parts.ts";
import { ipcacheKeyFromText, mapAddressFromText } from "../../bpf/address.ts";
import { ipcacheMap, policyNodeMap, policyStateMap } from "../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../bpf/memory-map.ts";
import { createMemoryPolicyMaps } from "../../bpf/memory-policy-maps.ts";
import { identityRange, type IdentityNumber } from "../../mesh/core/identity.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { policyKey, type Policy, type TrafficRule } from "../../mesh/core/policy.ts";
import type { LabelSelector } from "../../mesh/core/selector.ts";
import { createTable } from "../../mesh/core/table.ts";
import { EAST, WEST } from "./agent-cluster.ts";
import { createTestIntent, createTestPeer } from "./agent-intent.ts";
import { createFakeClock } from "./clock.ts";

export const OWN_RANGE = identityRange(EAST.id, EAST.maxConnectedClusters);
/** app=cart and app=web of namespace shop in the own cluster. */
export const CART = OWN_RANGE.first + 300;
export const WEB = OWN_RANGE.first + 301;
/** app=web of namespace shop in the other one. */
export const WEST_WEB = identityRange(WEST.id, WEST.maxConnectedClusters).first + 300;

/** `app("web", "web2")`: pods with one of these names. */
export function app(...values: readonly string[]): LabelSelector {
  return [{ key: "k8s:app", operator: "In", values }];
}

/** About app=cart; drops what comes in unless `ingress` allows it. */
export function cartPolicy(
  ingress: readonly Partial<TrafficRule>[],
  parts: Partial<Pick<Policy, "name" | "refusals">> = {},
): Policy {
  const rules = ingress.map((rule, i): TrafficRule => {
    const path = `spec.ingress[${i}]`;
    return { path, verdict: "allow", peers: undefined, ports: undefined, ...rule };
  });
  return {
    kind: "CiliumNetworkPolicy",
    namespace: "shop",
    name: "cart",
    rules: [
      {
        path: "spec",
        subject: app("cart"),
        defaultDeny: { ingress: true, egress: false },
        ingress: rules,
        egress: [],
      },
    ],
    refusals: [],
    ...parts,
  };
}

export function startPolicyNode() {
  const intent = createTestIntent(EAST);
  const west = createTestPeer(WEST);
  const endpoints = createTable<LocalEndpoint>({ name: "endpoints" });
  const cidrRows = createTable<CidrRow>({ name: "rows" });
  const policies = createMemoryPolicyMaps();
  const maps = {
    policyState: createMemoryMap(policyStateMap),
    policyNode: createMemoryMap(policyNodeMap),
    ipcache: createMemoryMap(ipcacheMap),
  };
  const clock = createFakeClock();
  const engine = createPolicyEngine({ ownCluster: { name: EAST.name, identities: OWN_RANGE } });
  const target = createPolicyTarget({ ...maps, policies });

  function putIpcache(prefix: string, identity: IdentityNumber, tunnelEndpoint = "::"): void {
    maps.ipcache.put(ipcacheKeyFromText(prefix), {
      identity,
      tunnelEndpoint: mapAddressFromText(tunnelEndpoint),
      clusterId: 0,
      encryptionKey: 0,
    });
  }

  const planner = createPolicyPlanner({
    intent,
    endpoints,
    engine,
    target,
    rows: cidrRows,
    rowsApplied: async ({ put }) => {
      for (const { prefix, identity } of put) putIpcache(prefix, identity);
    },
    clock,
    log: silentLogger,
  });

  function addIdentity(number: IdentityNumber, name: string): void {
    const cluster = number > OWN_RANGE.last ? west : intent.own;
    cluster.identities.put(String(number), {
      number,
      labels: [
        `k8s:app=${name}`,
        `k8s:io.cilium.k8s.policy.cluster=${cluster.cluster.name}`,
        "k8s:io.kubernetes.pod.namespace=shop",
      ],
    });
  }

  /** In etcd and in the ipcache. */
  function addAddress(
    address: string,
    pod: { readonly name: string; readonly identity: IdentityNumber; readonly node?: string },
  ): void {
    const { name, identity, node = "" } = pod;
    const cluster = identity > OWN_RANGE.last ? west : intent.own;
    cluster.endpoints.put(address, {
      prefix: address,
      hostIp: node,
      identity,
      encryptionKey: 0,
      namespace: "shop",
      podName: name,
      serviceAccount: "default",
      namedPorts: [],
    });
    putIpcache(`${address}/32`, identity, node === "" ? "::" : node);
  }

  /** A pod of this node, with its interface. */
  function addPod(name: string, identity: IdentityNumber, ifindex: number): void {
    intent.own.pods.put(`shop/${name}`, { namespace: "shop", name, identity, namedPorts: [] });
    const address = `10.1.1.${ifindex}`;
    endpoints.put(`${name}/eth0`, {
      key: `${name}/eth0`,
      pod: `shop/${name}`,
      hostInterface: `t${name}`,
      ifindex,
      addresses: [address],
    });
    addAddress(address, { name, identity });
  }

  const end = new AbortController();
  target.setMode("closed");
  const done = planner.run(end.signal);
  intent.peers.put(WEST.name, west);
  addIdentity(CART, "cart");
  addIdentity(WEB, "web");
  addIdentity(WEST_WEB, "web");
  const parts: PolicyReportParts = {
    nodeName: "east-1",
    cluster: EAST,
    intent,
    endpoints,
    engine,
    planner,
    policies,
    maps,
    async *observe() {},
    clock,
  };
  return {
    parts,
    intent,
    west,
    maps,
    policies,
    target,
    clock,
    addIdentity,
    addAddress,
    addPod,
    putIpcache,
    putPolicy: (policy: Policy) => void intent.own.policies.put(policyKey(policy), policy),
    /** Everything is known; what follows from it is written. */
    async sync(): Promise<void> {
      intent.own.markSynced();
      west.markSynced();
      const { own, peers } = intent;
      for (const table of [own.policies, own.pods, own.configuredPeers, peers, endpoints]) {
        table.markSynced();
      }
      await clock.advance(100);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      end.abort();
      await clock.settle();
      await done;
    },
  };
}

export type PolicyNodeFake = ReturnType<typeof startPolicyNode>;
