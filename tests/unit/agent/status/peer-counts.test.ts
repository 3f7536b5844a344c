import { describe, expect, test } from "@jest/globals";
import { countPeers, peerIdentityOf, peerKey } from "../../../../agent/status/peer-counts.ts";
import { createTurns } from "../../../../agent/status/turns.ts";
import type { PolicyPeer } from "../../../../mesh/core/policy.ts";
import type { LabelSelector, SelectorOperator } from "../../../../mesh/core/selector.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { OWN_RANGE, WEST_WEB } from "../../../fakes/policy-node.ts";

const turns = createTurns(createFakeClock(), new AbortController().signal);

const IDENTITIES = [
  { number: 9, labels: [], prefix: "" },
  { number: 2 ** 24, labels: [], prefix: "192.0.2.0/24" },
  ...["web", "web", "cart"].map((name, i) => ({
    number: OWN_RANGE.first + 300 + i,
    labels: [`k8s:app=${name}`, "k8s:io.cilium.k8s.policy.cluster=east", `k8s:tier=${i}`],
    prefix: "",
  })),
  {
    number: WEST_WEB,
    labels: ["k8s:app=web", "k8s:io.cilium.k8s.policy.cluster=west"],
    prefix: "",
  },
];

function requirement(key: string, operator: SelectorOperator, ...values: string[]): LabelSelector {
  return [{ key, operator, values }];
}

const pods = (selector: LabelSelector): PolicyPeer => ({ kind: "pods", selector });
const CLUSTER = "k8s:io.cilium.k8s.policy.cluster";

describe("countPeers()", () => {
  const cases: readonly (readonly [PolicyPeer, number])[] = [
    [pods([]), 4],
    [pods(requirement("k8s:app", "In", "web")), 3],
    [pods(requirement("k8s:app", "In", "web", "cart")), 4],
    [pods(requirement("any:app", "In", "cart")), 1],
    [pods(requirement("k8s:tier", "Exists")), 3],
    [pods(requirement("k8s:tier", "DoesNotExist")), 1],
    [pods(requirement("k8s:app", "NotIn", "web")), 1],
    [pods(requirement(CLUSTER, "In", "west")), 1],
    [pods([...requirement("k8s:app", "In", "web"), ...requirement(CLUSTER, "In", "east")]), 2],
    [pods(requirement("k8s:app", "In", "nobody")), 0],
    [{ kind: "entity", entity: "world" }, 2],
    [{ kind: "cidr", cidr: "192.0.2.0/24", except: [] }, 1],
    [{ kind: "cidr", cidr: "192.0.2.0/24", except: ["192.0.2.0/25"] }, 1],
  ];

  test("counts each peer as if it were the only one", async () => {
    const peers = cases.map(([peer]) => peer);
    const options = { identities: IDENTITIES, ownRange: OWN_RANGE, turns };
    const counts = await countPeers([...peers, ...peers], options);
    expect(cases.map(([peer]) => counts.get(peerKey(peer)))).toEqual(cases.map(([, n]) => n));
  });
});

describe("peerIdentityOf()", () => {
  test("has labels by key, and the prefix of a number that stands for one", () => {
    const { labels } = peerIdentityOf({ number: WEST_WEB, labels: ["k8s:app=web"], prefix: "" });
    expect([...labels]).toEqual([["k8s:app", "web"]]);
    const { prefix } = peerIdentityOf({ number: 2 ** 24, labels: [], prefix: "192.0.2.0/24" });
    expect(prefix?.text).toBe("192.0.2.0/24");
  });
});
