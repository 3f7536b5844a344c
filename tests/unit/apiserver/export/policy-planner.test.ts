import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createDesiredTables, type Desired } from "../../../../apiserver/export/desired.ts";
import { createPolicyPlanner } from "../../../../apiserver/export/policy-planner.ts";
import {
  createSource,
  SOURCE_KINDS,
  type ServiceObject,
  type WritableSource,
} from "../../../../apiserver/source/objects.ts";
import type { PeerObject } from "../../../../apiserver/source/policy/policy-object.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import type { Policy, PolicyPeer } from "../../../../mesh/core/policy.ts";
import { selectorText, type Requirement } from "../../../../mesh/core/selector.ts";
import { DEFAULT_SERVICE_SETTINGS } from "../../../../mesh/core/service.ts";
import { parsePolicy } from "../../../../mesh/kvstore/records/policy.ts";
import { eventually } from "../../../fakes/eventually.ts";

const NAME = "CiliumNetworkPolicy/shop/web";

let source: WritableSource;
let desired: Desired;
let stop: () => Promise<void>;
/** Keys of rows that were written, in order. */
let written: string[];

beforeEach(() => {
  source = createSource();
  written = [];
  const { policies } = createDesiredTables("east");
  const { table } = policies;
  desired = {
    ...policies,
    table: {
      ...table,
      get size() {
        return table.size;
      },
      get synced() {
        return table.synced;
      },
      put(key, row) {
        written.push(key);
        return table.put(key, row);
      },
    },
  };
  const planner = createPolicyPlanner({
    cluster: { name: "east", id: 1, maxConnectedClusters: 255 },
    scope: "all",
    source,
    desired,
    log: silentLogger,
  });
  const abort = new AbortController();
  const running = planner.run(abort.signal);
  stop = async () => {
    abort.abort();
    await running;
  };
});
afterEach(() => stop());

function markSynced(): void {
  for (const kind of SOURCE_KINDS) source[kind].markSynced();
}

function putPolicy(peers: readonly PeerObject[], name = "web"): void {
  const traffic = { path: "spec.egress[0]", verdict: "allow", peers, ports: undefined } as const;
  const defaultDeny = { ingress: false, egress: true };
  source.CiliumNetworkPolicy.put(`shop/${name}`, {
    kind: "CiliumNetworkPolicy",
    namespace: "shop",
    name,
    rules: [{ path: "spec", subject: [], defaultDeny, ingress: [], egress: [traffic] }],
    refusals: [],
  });
}

function putService(name: string, fields: Partial<ServiceObject> = {}): void {
  source.Service.put(`data/${name}`, {
    kind: "Service",
    namespace: "data",
    name,
    labels: new Map(),
    selector: new Map(),
    clusterIps: [],
    families: [],
    ports: [],
    publishNotReady: false,
    settings: DEFAULT_SERVICE_SETTINGS,
    ...fields,
  });
}

function putSlice(service: string, addresses: readonly string[]): void {
  const endpoint = { addresses, ready: true, serving: true, terminating: false };
  source.EndpointSlice.put(`data/${service}-1`, {
    kind: "EndpointSlice",
    namespace: "data",
    name: `${service}-1`,
    serviceName: service,
    ports: [],
    endpoints: [endpoint],
  });
}

function policy(name = NAME): Policy | undefined {
  const value = desired.table.get(desired.prefix + name);
  return value && parsePolicy(name, value);
}

function peers(): string[] | undefined {
  const shown = (peer: PolicyPeer): string =>
    peer.kind === "pods" ? selectorText(peer.selector) : peer.kind === "cidr" ? peer.cidr : "";
  return policy()?.rules[0]?.egress[0]?.peers?.map(shown);
}

const named = (name: string, namespace = "data"): PeerObject => ({
  kind: "services",
  namespace,
  name,
  selector: [],
});
const chosen = (requirement: Requirement): PeerObject => ({
  kind: "services",
  namespace: "",
  name: "",
  selector: [requirement],
});
const TIER_A: Requirement = { key: "k8s:tier", operator: "In", values: ["a"] };

describe("createPolicyPlanner()", () => {
  test("vouches for its policies only once all of the source is known", async () => {
    putPolicy([]);
    for (const kind of SOURCE_KINDS) {
      if (kind !== "CiliumClusterwideNetworkPolicy") source[kind].markSynced();
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(desired.table.synced).toBe(false);
    markSynced();
    await eventually(() => desired.table.synced);
    expect(policy()?.name).toBe("web");
    source.CiliumNetworkPolicy.delete("shop/web");
    await eventually(() => desired.table.size === 0);
  });

  test("writes policies of every kind", async () => {
    const rest = { rules: [], refusals: [] };
    source.NetworkPolicy.put("shop/web", {
      kind: "NetworkPolicy",
      namespace: "shop",
      name: "web",
      ...rest,
    });
    source.CiliumClusterwideNetworkPolicy.put("base", {
      kind: "CiliumClusterwideNetworkPolicy",
      namespace: "",
      name: "base",
      ...rest,
    });
    markSynced();
    await eventually(() => desired.table.size === 2);
    expect(policy("NetworkPolicy/shop/web")).toBeDefined();
    expect(policy("CiliumClusterwideNetworkPolicy/base")).toBeDefined();
  });

  test("follows the endpoints of a Service without a selector, and those of no other", async () => {
    putPolicy([named("db")]);
    putPolicy([], "other");
    putService("db");
    putService("cache");
    putSlice("db", ["192.0.2.8", "192.0.2.7"]);
    markSynced();
    await eventually(() => peers()?.join() === "192.0.2.7/32,192.0.2.8/32");
    written = [];
    putSlice("cache", ["192.0.2.1"]);
    putSlice("db", ["192.0.2.9"]);
    await eventually(() => peers()?.join() === "192.0.2.9/32");
    expect(written).toEqual([desired.prefix + NAME]);
    source.EndpointSlice.delete("data/db-1");
    await eventually(() => peers()?.length === 0);
  });

  test("follows a Service that begins to select pods, moves, and goes", async () => {
    putPolicy([named("db", "")]);
    markSynced();
    await eventually(() => desired.table.synced);
    expect(peers()).toEqual([]);
    putService("db", { selector: new Map([["app", "db"]]) });
    await eventually(() => peers()?.join() === "k8s:app=db, k8s:io.kubernetes.pod.namespace=data");
    written = [];
    putSlice("db", ["10.1.0.5"]);
    putService("other", { selector: new Map([["app", "x"]]) });
    source.Service.delete("data/db");
    await eventually(() => peers()?.length === 0);
    expect(written).toEqual([desired.prefix + NAME]);
  });

  test("follows Services that are chosen by their labels, before and after", async () => {
    putPolicy([chosen(TIER_A)]);
    markSynced();
    const selector = new Map([["app", "db"]]);
    putService("db", { selector, labels: new Map([["tier", "a"]]) });
    await eventually(() => peers()?.length === 1);
    putService("db", { selector, labels: new Map([["tier", "b"]]) });
    await eventually(() => peers()?.length === 0);
  });

  test("closes what a policy is about that no record can hold", async () => {
    const values = Array.from({ length: 10_001 }, (_, i) => String(i));
    putPolicy([{ kind: "pods", selector: [{ key: "k8s:a", operator: "In", values }] }]);
    markSynced();
    await eventually(() => policy()?.refusals.length === 1);
    expect(policy()?.rules[0]?.egress[0]).toMatchObject({ verdict: "deny" });
    expect(policy()?.refusals[0]?.message).toContain("a list of 10001");
  });
});
