import { describe, expect, test } from "@jest/globals";
import { createCidrNumbers } from "../../../../agent/policy/cidr-numbers.ts";
import { compilePolicy, createTrafficPeers } from "../../../../agent/policy/compiled-rule.ts";
import type { CompiledTraffic } from "../../../../agent/policy/compiled-rule.ts";
import { createNamedPorts } from "../../../../agent/policy/named-ports.ts";
import { createPeerSets, type PeerSets } from "../../../../agent/policy/peer-sets.ts";
import { createRuleNumbers } from "../../../../agent/policy/rule-numbers.ts";
import { Side } from "../../../../agent/policy/side.ts";
import { allow, deny, labels, pods, policy, portNamed, tcp, WEB } from "./small-mesh.ts";

interface Started {
  readonly side: Side;
  readonly peers: PeerSets;
  /** Planes that were touched since the last time. */
  readonly touched: () => number[];
}

function start(): Started {
  const numbers = createCidrNumbers({ adopted: [], onChange: () => {} });
  const peers = createPeerSets({ ownCluster: "east", numbers });
  const namedPorts = createNamedPorts({ onChange: () => {} });
  namedPorts.set("web-1", { identity: WEB, ports: [{ name: "api", port: 80, protocol: "TCP" }] });
  peers.setIdentity(WEB, labels("web"));
  let planes = new Set<number>();
  const side = new Side({
    direction: "egress",
    namedPorts: [],
    context: {
      traffic: createTrafficPeers(peers),
      setsOf: (plane) => peers.setsOf(plane),
      namedPorts,
      aggregateOf: () => 11,
    },
    onTouch: (plane) => planes.add(plane),
  });
  const touched = (): number[] => {
    const taken = [...planes];
    planes = new Set();
    return taken;
  };
  return { side, peers, touched };
}

function traffic(said: Parameters<typeof policy>[0]["egress"]): readonly CompiledTraffic[] {
  const numbers = createRuleNumbers({ first: 1 });
  const compiled = compilePolicy("p", { policy: policy({ egress: said ?? [] }), numbers });
  return compiled.flatMap((rule) => rule.traffic);
}

describe("one direction of a profile", () => {
  test("touches what a rule means when it comes, when that changes, and when it goes", () => {
    const { side, peers, touched } = start();
    const [rule] = traffic([allow([pods("web")])]) as [CompiledTraffic];
    side.add(rule);
    expect(touched()).toEqual([WEB]);
    peers.setIdentity(WEB + 1, labels("web"));
    peers.setIdentity(WEB + 2, labels("db"));
    expect(touched()).toEqual([WEB + 1]);
    side.remove(rule);
    expect(touched()).toEqual([WEB, WEB + 1]);
    peers.setIdentity(WEB + 1, undefined);
    expect(touched()).toEqual([]);
  });

  test("touches everything when deny becomes the default, and only then", () => {
    const { side, touched } = start();
    for (const rule of traffic([allow([pods("web")])])) side.add(rule);
    touched();
    side.countDefaultDeny(1);
    expect(touched()).toEqual([0, 1, WEB]);
    side.countDefaultDeny(1);
    side.countDefaultDeny(-1);
    expect([touched(), side.isDefaultDeny]).toEqual([[], true]);
  });

  test("says nothing that is allowed anyway, but knows what rules say", () => {
    const { side } = start();
    for (const rule of traffic([allow([pods("web")]), deny([pods("web")], [tcp(80)])])) {
      side.add(rule);
    }
    const verdicts = (said: readonly { readonly verdict: string }[]): string[] =>
      said.map(({ verdict }) => verdict);
    expect(verdicts(side.contributions(WEB))).toEqual(["deny"]);
    expect(verdicts(side.spoken(WEB))).toEqual(["allow", "deny"]);
    expect(verdicts(side.contributions(0))).toEqual(["allow"]);
    side.countDefaultDeny(1);
    expect(verdicts(side.contributions(WEB))).toEqual(["allow", "deny"]);
    expect(side.contributions(0)).toEqual([]);
  });

  test("a port's name means each peer's own, also of peers that an aggregate stands for", () => {
    const { side } = start();
    const mesh = { kind: "pods", selector: [] } as const;
    for (const rule of traffic([allow([mesh], [portNamed("api"), tcp(443)])])) side.add(rule);
    side.countDefaultDeny(1);
    expect(side.contributions(11)).toMatchObject([{ ports: [{ port: 443 }] }]);
    expect(side.contributions(WEB)).toMatchObject([{ ports: [{ port: 80 }] }]);
    // Of the name one entry at WEB, of the number one in each aggregate.
    expect([...side.costs()].map(([, entries]) => entries)).toEqual([3]);
  });
});
