import { afterEach, describe, expect, test } from "@jest/globals";
import { createPolicyTarget, entryFromMapRow } from "../../../../agent/apply/policy-target.ts";
import { createPolicyPlanner } from "../../../../agent/desired/policy.ts";
import type { LocalEndpoint } from "../../../../agent/endpoints/local-endpoints.ts";
import { createPolicyEngine, type CidrRow } from "../../../../agent/policy/engine.ts";
import { PolicyEnforcement, PolicyMode } from "../../../../bpf/gen/layout.ts";
import { policyNodeMap, policyStateMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createMemoryPolicyMaps } from "../../../../bpf/memory-policy-maps.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { identityRange } from "../../../../mesh/core/identity.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import type { Policy, TrafficRule } from "../../../../mesh/core/policy.ts";
import { createTable } from "../../../../mesh/core/table.ts";
import { EAST, WEST } from "../../../fakes/agent-cluster.ts";
import { createTestIntent, createTestPeer } from "../../../fakes/agent-intent.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const EAST_RANGE = identityRange(EAST.id, EAST.maxConnectedClusters);
const WEST_RANGE = identityRange(WEST.id, WEST.maxConnectedClusters);
const CART = EAST_RANGE.first + 300;
const SHOP = EAST_RANGE.first + 301;
const REMOTE = WEST_RANGE.first + 300;
const ends: AbortController[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end.abort();
});

function policy(ingress: readonly Partial<TrafficRule>[]): Policy {
  return {
    kind: "CiliumNetworkPolicy",
    namespace: "shop",
    name: "cart",
    rules: [
      {
        path: "spec",
        subject: [{ key: "k8s:app", operator: "In", values: ["cart"] }],
        defaultDeny: { ingress: true, egress: false },
        ingress: ingress.map((rule, i) => ({
          path: `spec.ingress[${i}]`,
          verdict: "allow",
          peers: undefined,
          ports: undefined,
          ...rule,
        })),
        egress: [],
      },
    ],
    refusals: [],
  };
}

const fromShop: Partial<TrafficRule> = {
  peers: [{ kind: "pods", selector: [{ key: "k8s:app", operator: "In", values: ["shop"] }] }],
  ports: [{ protocol: "TCP", first: 80, last: 80 }],
};

function create() {
  const intent = createTestIntent(EAST);
  const west = createTestPeer(WEST);
  const endpoints = createTable<LocalEndpoint>({ name: "endpoints" });
  const rows = createTable<CidrRow>({ name: "rows" });
  const policies = createMemoryPolicyMaps();
  const failing = new Set<number>();
  const maps = {
    policies: {
      ...policies,
      replace(...args: Parameters<typeof policies.replace>) {
        if (failing.has(args[0])) throw new MeshError("resource_exhausted", "Cannot: no memory");
        policies.replace(...args);
      },
    },
    policyState: createMemoryMap(policyStateMap),
    policyNode: createMemoryMap(policyNodeMap),
  };
  const clock = createFakeClock();
  const start = () => {
    const end = new AbortController();
    ends.push(end);
    const planner = createPolicyPlanner({
      intent,
      endpoints,
      engine: createPolicyEngine({ ownCluster: { name: EAST.name, identities: EAST_RANGE } }),
      target: createPolicyTarget(maps),
      rows,
      rowsApplied: () => Promise.resolve(),
      clock,
      log: silentLogger,
    });
    const done = planner.run(end.signal);
    return { planner, stop: () => (end.abort(), done) };
  };
  const addPod = (name: string, identity: number, ifindex: number): void => {
    intent.own.pods.put(`shop/${name}`, { namespace: "shop", name, identity, namedPorts: [] });
    endpoints.put(`${name}/eth0`, {
      key: `${name}/eth0`,
      pod: `shop/${name}`,
      hostInterface: `t${name}`,
      ifindex,
      addresses: [`10.1.1.${ifindex}`],
    });
  };
  const addIdentity = (cluster: typeof intent.own | typeof west, number: number, app: string) =>
    cluster.identities.put(String(number), {
      number,
      labels: [
        `k8s:app=${app}`,
        `k8s:io.cilium.k8s.policy.cluster=${cluster.cluster.name}`,
        "k8s:io.kubernetes.pod.namespace=shop",
      ],
    });
  const markSynced = (): void => {
    intent.own.markSynced();
    for (const table of [
      intent.own.policies,
      intent.own.pods,
      intent.own.configuredPeers,
      intent.peers,
    ])
      table.markSynced();
    endpoints.markSynced();
  };
  const held = (ifindex: number): string[] => {
    using map = policies.open(ifindex);
    return [...(map?.entries() ?? [])]
      .map(entryFromMapRow)
      .map(({ direction, identity, protocol, port, verdict }) =>
        [direction, identity, protocol, port, verdict].join(" "),
      )
      .sort();
  };
  const state = (ifindex: number) => maps.policyState.get({ ifindex });
  const mode = () => maps.policyNode.get(0)?.mode;
  return {
    intent,
    west,
    endpoints,
    rows,
    maps,
    failing,
    clock,
    start,
    addPod,
    addIdentity,
    markSynced,
    held,
    state,
    mode,
  };
}

const ALL = ["egress 0 0 0 allow", "ingress 0 0 0 allow"];
const HOST = "ingress 1 0 0 allow";

describe("createPolicyPlanner()", () => {
  test("writes nothing before all is known, and then all of it", async () => {
    const test = create();
    const { planner } = test.start();
    test.addIdentity(test.intent.own, CART, "cart");
    test.addPod("cart", CART, 7);
    await test.clock.settle();
    expect([planner.isReady(), test.state(7), test.mode()]).toEqual([false, undefined, 0]);
    expect(planner.isCurrent()).toBe(false);
    test.markSynced();
    await test.clock.advance(10);
    expect([planner.isReady(), test.mode()]).toEqual([true, PolicyMode.open]);
    expect(planner.isCurrent()).toBe(true);
    expect(test.state(7)).toMatchObject({ identity: CART, enforcement: PolicyEnforcement.on });
    expect(test.held(7)).toEqual(ALL);
  });

  test("closes the node to newcomers before the first policy, and opens it after the last", async () => {
    const test = create();
    test.markSynced();
    test.start();
    test.addIdentity(test.intent.own, CART, "cart");
    test.addIdentity(test.intent.own, SHOP, "shop");
    test.addPod("cart", CART, 7);
    test.intent.own.policies.put("a", policy([fromShop]));
    await test.clock.advance(10);
    expect(test.mode()).toBe(PolicyMode.closed);
    expect(test.held(7)).toEqual(["egress 0 0 0 allow", HOST, `ingress ${SHOP} 6 80 allow`].sort());
    test.intent.own.policies.delete("a");
    await test.clock.advance(10);
    expect([test.mode(), test.held(7)]).toEqual([PolicyMode.open, ALL]);
  });

  test("follows identities of peers, and forgets them with their cluster", async () => {
    const test = create();
    test.markSynced();
    test.west.markSynced();
    test.intent.peers.put(WEST.name, test.west);
    test.start();
    test.addIdentity(test.intent.own, CART, "cart");
    test.addPod("cart", CART, 7);
    test.intent.own.policies.put("a", policy([fromShop]));
    await test.clock.advance(10);
    const before = test.held(7);
    test.addIdentity(test.west, REMOTE, "shop");
    await test.clock.advance(10);
    expect(test.held(7)).toContain(`ingress ${REMOTE} 6 80 allow`);
    test.intent.peers.delete(WEST.name);
    await test.clock.advance(10);
    expect(test.held(7)).toEqual(before);
  });

  test("a pod that nobody knows has no row; when it goes its row goes", async () => {
    const test = create();
    test.markSynced();
    test.start();
    test.intent.own.policies.put("a", policy([]));
    test.addPod("cart", CART, 7);
    test.intent.own.pods.delete("shop/cart");
    await test.clock.advance(10);
    expect(test.state(7)).toBeUndefined();
    test.addPod("cart", CART, 7);
    test.addIdentity(test.intent.own, CART, "cart");
    await test.clock.advance(10);
    expect(test.held(7)).toEqual(["egress 0 0 0 allow", HOST].sort());
    test.endpoints.delete("cart/eth0");
    await test.clock.advance(10);
    expect([test.state(7), test.maps.policies.endpoints()]).toEqual([undefined, []]);
  });

  test("a pod of unknown labels is open while there is no policy at all", async () => {
    const test = create();
    test.markSynced();
    test.start();
    test.addPod("cart", CART, 7);
    await test.clock.advance(10);
    expect([test.mode(), test.state(7)]).toEqual([PolicyMode.open, undefined]);
    test.intent.own.policies.put("a", policy([]));
    await test.clock.advance(10);
    // No row: closed, as nobody may pass who has none.
    expect([test.mode(), test.state(7)]).toEqual([PolicyMode.closed, undefined]);
    test.addPod("other", SHOP, 8);
    await test.clock.advance(10);
    expect(test.state(8)?.enforcement).toBe(PolicyEnforcement.closed);
    test.intent.own.policies.delete("a");
    await test.clock.advance(10);
    expect([test.mode(), test.state(8)]).toEqual([PolicyMode.open, undefined]);
  });

  test("a pod of unknown labels is closed until they are known", async () => {
    const test = create();
    test.markSynced();
    test.start();
    test.intent.own.policies.put("a", policy([]));
    test.addPod("cart", CART, 7);
    await test.clock.advance(10);
    expect(test.state(7)?.enforcement).toBe(PolicyEnforcement.closed);
    test.addIdentity(test.intent.own, CART, "cart");
    await test.clock.advance(10);
    expect(test.state(7)?.enforcement).toBe(PolicyEnforcement.on);
  });

  test("a pod of other labels has another identity, even under the same policy", async () => {
    const test = create();
    test.markSynced();
    test.start();
    test.addIdentity(test.intent.own, CART, "cart");
    test.addIdentity(test.intent.own, SHOP, "shop");
    test.addPod("cart", CART, 7);
    await test.clock.advance(10);
    test.addPod("cart", SHOP, 7);
    await test.clock.advance(10);
    expect(test.state(7)?.identity).toBe(SHOP);
  });

  test("tries again what the kernel refused, and says so meanwhile", async () => {
    const test = create();
    test.markSynced();
    test.failing.add(7);
    const { planner } = test.start();
    test.addIdentity(test.intent.own, CART, "cart");
    test.addPod("cart", CART, 7);
    await test.clock.advance(10);
    expect(planner.enforced.get("cart/eth0")?.problem).toBe("Cannot: no memory");
    test.failing.clear();
    await test.clock.advance(1_000);
    expect(planner.enforced.get("cart/eth0")?.problem).toBe("");
    expect(test.held(7)).toEqual(ALL);
  });

  test("a new agent changes nothing that still holds, and removes what is of nobody", async () => {
    const test = create();
    test.markSynced();
    const first = test.start();
    test.addIdentity(test.intent.own, CART, "cart");
    test.addPod("cart", CART, 7);
    await test.clock.advance(10);
    await first.stop();
    const before = test.state(7);
    test.maps.policyState.put({ ifindex: 99 }, { identity: 1, revision: 1, enforcement: 1 });
    test.start();
    await test.clock.advance(10);
    expect(test.state(7)).toEqual(before);
    expect(test.state(99)).toBeUndefined();
  });

  test("names the prefixes of policies", async () => {
    const test = create();
    test.markSynced();
    test.start();
    test.addIdentity(test.intent.own, CART, "cart");
    test.addPod("cart", CART, 7);
    const cidr = { kind: "cidr", cidr: "198.51.100.0/24", except: [] } as const;
    test.intent.own.policies.put("a", policy([{ peers: [cidr] }]));
    await test.clock.advance(10);
    expect([...test.rows.entries()].map(([prefix]) => prefix)).toEqual(["198.51.100.0/24"]);
    test.intent.own.policies.delete("a");
    await test.clock.advance(10);
    expect(test.rows.size).toBe(0);
  });
});
