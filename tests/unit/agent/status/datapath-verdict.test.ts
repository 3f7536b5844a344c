import { describe, expect, test } from "@jest/globals";
import { mapKeyFromEntry } from "../../../../agent/apply/policy-target.ts";
import type { PolicyEntry } from "../../../../agent/policy/entry.ts";
import { datapathVerdict } from "../../../../agent/status/datapath-verdict.ts";
import { PolicyEnforcement, PolicyMode, PolicyVerdict } from "../../../../bpf/gen/layout.ts";
import { policyNodeMap, policyStateMap, ipcacheMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createMemoryPolicyMaps } from "../../../../bpf/memory-policy-maps.ts";
import { CART, OWN_RANGE, WEB, WEST_WEB } from "../../../fakes/policy-node.ts";

const IFINDEX = 12;
const RULE = { policy: "NetworkPolicy/shop/cart", path: "spec.ingress[0]" };

type Row = Partial<PolicyEntry> & Pick<PolicyEntry, "identity">;

function create(rows: readonly Row[], mode: PolicyMode = PolicyMode.closed) {
  const policies = createMemoryPolicyMaps();
  const maps = {
    policyState: createMemoryMap(policyStateMap),
    policyNode: createMemoryMap(policyNodeMap),
    ipcache: createMemoryMap(ipcacheMap),
  };
  maps.policyNode.put(0, { mode });
  const on = { identity: CART, revision: 1, enforcement: PolicyEnforcement.on };
  maps.policyState.put({ ifindex: IFINDEX }, on);
  policies.replace(
    IFINDEX,
    rows.map((row) => {
      const entry: PolicyEntry = {
        direction: "ingress",
        protocol: 0,
        port: 0,
        portPrefixBits: 0,
        verdict: "allow",
        rule: 0,
        ...row,
      };
      const verdict = entry.verdict === "allow" ? PolicyVerdict.allow : PolicyVerdict.deny;
      return [mapKeyFromEntry(entry), { verdict, rule: entry.rule }];
    }),
  );
  const engine = { ruleOf: (number: number) => (number === 7 ? [RULE] : []) };
  const ask = (identity: number, port = 80, ifindex: number | undefined = IFINDEX) =>
    datapathVerdict(
      { direction: "ingress", protocol: 6, port, identity, ifindex },
      { parts: { policies, maps, engine: engine as never }, ownRange: OWN_RANGE },
    );
  return { ask, maps, policies };
}

describe("datapathVerdict()", () => {
  test("looks three planes up: the identity's own, its aggregate's, anybody's", () => {
    const tcp80 = { protocol: 6, port: 80, portPrefixBits: 16 };
    const { ask } = create([
      { identity: WEB, ...tcp80, rule: 7 },
      { identity: 12, ...tcp80 },
      { identity: 0, protocol: 6, port: 9_000, portPrefixBits: 16 },
    ]);
    const why = (plane: string) => `allowed by the entry for ${plane}`;
    expect(ask(WEB)).toEqual({ verdict: "allow", why: why(`identity ${WEB}`), rule: RULE });
    expect(ask(WEST_WEB)).toEqual({
      verdict: "allow",
      why: why("every pod of other clusters"),
      rule: null,
    });
    expect(ask(CART)).toMatchObject({ verdict: "deny", why: "no entry allows it" });
    expect(ask(CART, 9_000)).toMatchObject({ verdict: "allow", why: why("anybody") });
  });

  test("a deny of any plane is before every allow; in one plane the longest prefix counts", () => {
    const { ask } = create([
      { identity: WEB },
      { identity: 11, protocol: 6, port: 80, portPrefixBits: 12, verdict: "deny", rule: 7 },
      { identity: 11, protocol: 6, port: 82, portPrefixBits: 16 },
    ]);
    expect(ask(WEB, 80)).toEqual({
      verdict: "deny",
      why: "denied by the entry for every pod of this cluster",
      rule: RULE,
    });
    expect(ask(WEB, 82)).toMatchObject({ verdict: "allow" });
    expect(ask(WEB, 443)).toMatchObject({ verdict: "allow" });
  });

  test("an identity without an aggregate has two planes", () => {
    const { ask } = create([{ identity: 13 }, { identity: 1 }]);
    expect(ask(1)).toMatchObject({ verdict: "allow" });
    expect(ask(6)).toMatchObject({ verdict: "deny" });
    expect(ask(9)).toMatchObject({ verdict: "allow" });
  });

  test("without a row the node's mode decides", () => {
    const closed = create([]);
    expect(closed.ask(WEB, 80, 99)).toMatchObject({
      verdict: "deny",
      why: "closed: no row for the pod yet",
    });
    const open = create([], PolicyMode.open);
    expect(open.ask(WEB, 80, 99)).toMatchObject({ verdict: "allow" });
    const off = create([{ identity: 0, verdict: "deny" }], PolicyMode.off);
    expect(off.ask(WEB)).toMatchObject({
      verdict: "allow",
      why: "policy is not enforced on this node",
    });
  });

  test("a closed endpoint, a missing map and a pod without an interface are told apart", () => {
    const node = create([{ identity: 0 }]);
    node.policies.delete(IFINDEX);
    expect(node.ask(WEB)).toMatchObject({
      verdict: "deny",
      why: "closed: the pod's map is missing",
    });
    const row = { identity: CART, revision: 2, enforcement: PolicyEnforcement.closed };
    node.maps.policyState.put({ ifindex: IFINDEX }, row);
    expect(node.ask(WEB)).toMatchObject({
      verdict: "deny",
      why: expect.stringContaining("does not fit"),
    });
  });
});
