import { describe, expect, test } from "@jest/globals";
import { policyFromObject, type FoundService } from "../../../../apiserver/export/policy-record.ts";
import type { ServiceObject } from "../../../../apiserver/source/objects.ts";
import type {
  PeerObject,
  PolicyObject,
} from "../../../../apiserver/source/policy/policy-object.ts";
import type { PolicyScope } from "../../../../mesh/core/policy.ts";
import { DEFAULT_SERVICE_SETTINGS } from "../../../../mesh/core/service.ts";
import type { Requirement } from "../../../../mesh/core/selector.ts";

const APP: Requirement = { key: "any:app", operator: "In", values: ["a"] };
const EAST: Requirement = {
  key: "k8s:io.cilium.k8s.policy.cluster",
  operator: "In",
  values: ["east"],
};
const DB: ServiceObject = {
  kind: "Service",
  namespace: "data",
  name: "db",
  labels: new Map(),
  selector: new Map([["app", "db"]]),
  clusterIps: [],
  families: [],
  ports: [],
  publishNotReady: false,
  settings: DEFAULT_SERVICE_SETTINGS,
};
const SERVICE_PEER: PeerObject = { kind: "services", namespace: "", name: "db", selector: [] };

function made(
  peers: readonly PeerObject[] | undefined,
  around: { scope?: PolicyScope; verdict?: "allow" | "deny"; found?: FoundService[] } = {},
) {
  const { scope = "local", verdict = "allow", found = [] } = around;
  const traffic = { path: "spec.egress[0]", verdict, peers, ports: undefined };
  const defaultDeny = { ingress: false, egress: true };
  const object: PolicyObject = {
    kind: "CiliumNetworkPolicy",
    namespace: "shop",
    name: "web",
    rules: [{ path: "spec", subject: [APP], defaultDeny, ingress: [], egress: [traffic] }],
    refusals: [],
  };
  const policy = policyFromObject(object, { cluster: "east", scope, services: () => found });
  expect(policy.rules[0]?.subject).toEqual([APP]);
  return { peers: policy.rules[0]?.egress[0]?.peers, refusals: policy.refusals };
}

describe("policyFromObject()", () => {
  test("means its own cluster where a selector names none, if that is the scope", () => {
    expect(made([{ kind: "pods", selector: [APP] }]).peers).toEqual([
      { kind: "pods", selector: [APP, EAST] },
    ]);
    expect(made([{ kind: "pods", selector: [APP] }], { scope: "all" }).peers).toEqual([
      { kind: "pods", selector: [APP] },
    ]);
  });

  test.each(["any", "k8s"])("means the cluster that is named by %s:", (source) => {
    const key = `${source}:io.cilium.k8s.policy.cluster`;
    const selector: Requirement[] = [{ key, operator: "In", values: ["west"] }];
    expect(made([{ kind: "pods", selector }]).peers).toEqual([{ kind: "pods", selector }]);
  });

  test("leaves everybody, nobody, entities and addresses as they are", () => {
    expect(made(undefined).peers).toBeUndefined();
    const peers: PeerObject[] = [
      { kind: "entity", entity: "cluster" },
      { kind: "cidr", cidr: "10.0.0.0/8", except: [] },
    ];
    expect(made(peers).peers).toEqual(peers);
    expect(made([SERVICE_PEER]).peers).toEqual([]);
  });

  test("means the pods that a Service selects", () => {
    const addresses = (): never => {
      throw new Error("not asked");
    };
    expect(made([SERVICE_PEER], { found: [{ service: DB, addresses }] }).peers).toEqual([
      {
        kind: "pods",
        selector: [
          { key: "k8s:app", operator: "In", values: ["db"] },
          EAST,
          { key: "k8s:io.kubernetes.pod.namespace", operator: "In", values: ["data"] },
        ],
      },
    ]);
  });

  test("means the endpoints of a Service that selects nobody", () => {
    const service = { ...DB, selector: new Map<string, string>() };
    const found = [{ service, addresses: () => ["192.0.2.7", "2001:db8::7"] }];
    expect(made([SERVICE_PEER], { found }).peers).toEqual([
      { kind: "cidr", cidr: "192.0.2.7/32", except: [] },
      { kind: "cidr", cidr: "2001:db8::7/128", except: [] },
    ]);
  });

  test("refuses a Service that selects by labels that identities do not carry", () => {
    const service = { ...DB, selector: new Map([["pod-template-hash", "x"]]) };
    const found = [{ service, addresses: () => [] }];
    const allowed = made([SERVICE_PEER], { found });
    expect(allowed.peers).toEqual([]);
    expect(allowed.refusals).toEqual([
      {
        path: "spec.egress[0].toServices",
        message: expect.stringMatching(/^Service data\/db .*"pod-template-hash".*not allowed$/),
      },
    ]);
    const denied = made([SERVICE_PEER], { found, verdict: "deny" });
    expect(denied.peers).toMatchObject([{ selector: [EAST, { values: ["data"] }] }]);
  });
});
