import { describe, expect, test } from "@jest/globals";
import { createCidrNumbers } from "../../../../agent/policy/cidr-numbers.ts";
import { FIRST_CIDR_NUMBER as FIRST } from "../../../../agent/policy/entry.ts";
import {
  CLUSTER_LABEL,
  createPeerSets,
  wholeClusters,
  type PeerSets,
} from "../../../../agent/policy/peer-sets.ts";
import type { PolicyEntity, PolicyPeer } from "../../../../mesh/core/policy.ts";
import { createSelector, type Requirement } from "../../../../mesh/core/selector.ts";

const cluster = (operator: Requirement["operator"], ...values: string[]): Requirement => ({
  key: CLUSTER_LABEL,
  operator,
  values,
});
const web: Requirement = { key: "k8s:app", operator: "In", values: ["web"] };
const pods = (...requirements: Requirement[]): PolicyPeer => ({
  kind: "pods",
  selector: createSelector(requirements),
});

function start(): PeerSets {
  const numbers = createCidrNumbers({
    adopted: [],
    onChange: (numbered, what) => peers.follow(numbered, what),
  });
  const peers = createPeerSets({ ownCluster: "east", numbers });
  return peers;
}

describe("peers as planes", () => {
  test.each<[PolicyEntity, number[]]>([
    ["all", [0]],
    ["world", [13]],
    ["world-ipv4", [9]],
    ["world-ipv6", [10]],
    ["cluster", [11, 1, 4, 5, 6, 7, 8]],
    ["host", [1]],
    ["remote-node", [6, 7]],
    ["health", [4]],
    ["init", [5]],
    ["ingress", [8]],
    ["unmanaged", [3]],
    ["none", []],
  ])("entity %s", (entity, planes) => {
    expect([...start().acquire({ kind: "entity", entity }).planes]).toEqual(planes);
  });

  test("anybody is the entity all", () => {
    const peers = start();
    expect(peers.acquire(undefined)).toBe(peers.acquire({ kind: "entity", entity: "all" }));
  });

  test("a selector is each identity that it means, and no host whatever its labels", () => {
    const peers = start();
    peers.setIdentity(65_536, ["k8s:app=web"]);
    peers.setIdentity(1, ["k8s:app=web"]);
    const set = peers.acquire(pods(web));
    peers.setIdentity(65_537, ["k8s:app=web"]);
    expect([...set.planes]).toEqual([65_536, 65_537]);
    expect([...peers.setsOf(65_537)]).toEqual([set]);
    expect([...peers.setsOf(1)]).toEqual([]);
  });

  test("world-ipv4 and 0.0.0.0/0 are one, and have the number of every IPv4 prefix", () => {
    const peers = start();
    const set = peers.acquire({ kind: "entity", entity: "world-ipv4" });
    expect(peers.acquire({ kind: "cidr", cidr: "0.0.0.0/0", except: [] })).toBe(set);
    peers.acquire({ kind: "cidr", cidr: "10.0.0.0/8", except: [] });
    peers.acquire({ kind: "cidr", cidr: "fd00::/16", except: [] });
    expect([...set.planes]).toEqual([9, FIRST]);
    expect([...peers.setsOf(FIRST)]).toContain(set);
  });

  test("whoever uses a set is told of its changes, and no longer once it is given back", () => {
    const peers = start();
    const set = peers.acquire(pods(web));
    const touched: number[] = [];
    set.users.add({ touch: (plane) => touched.push(plane) });
    peers.setIdentity(65_536, ["k8s:app=web"]);
    peers.setIdentity(65_536, ["k8s:app=db"]);
    peers.setIdentity(65_536, ["k8s:app=cache"]);
    expect(touched).toEqual([65_536, 65_536]);
    peers.release(set);
    peers.setIdentity(65_536, ["k8s:app=web"]);
    expect(touched).toHaveLength(2);
    expect([...peers.setsOf(65_536)]).toEqual([]);
  });

  test("a set that is given back leaves its planes", () => {
    const peers = start();
    const set = peers.acquire({ kind: "entity", entity: "host" });
    peers.acquire({ kind: "entity", entity: "host" });
    peers.release(set);
    expect([...peers.setsOf(1)]).toEqual([set]);
    peers.release(set);
    expect([...peers.setsOf(1)]).toEqual([]);
  });
});

describe("wholeClusters()", () => {
  test.each([
    ["no condition: every pod of the mesh", [], [11, 12]],
    ["only that there is a cluster", [cluster("Exists")], [11, 12]],
    ["only the own cluster", [cluster("In", "east")], [11]],
    ["the own one, said twice", [cluster("In", "east"), cluster("Exists")], [11]],
    ["another cluster", [cluster("In", "west")], undefined],
    ["the own one among others", [cluster("In", "east", "west")], undefined],
    ["all but one", [cluster("NotIn", "west")], undefined],
    ["a label beside", [cluster("In", "east"), web], undefined],
    ["nobody", [cluster("In")], undefined],
    ["of any source", [{ ...cluster("In", "east"), key: `any:${CLUSTER_LABEL.slice(4)}` }], [11]],
  ])("%s", (_, requirements, planes) => {
    expect(wholeClusters(createSelector(requirements), "east")).toEqual(planes);
  });
});
