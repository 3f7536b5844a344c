// The answers of a node that enforces policy for real, on memory maps.
import { describe, expect, test } from "@jest/globals";
import { createPolicyReport } from "../../../../agent/status/policy-report.ts";
import {
  cartPolicy,
  app,
  CART,
  startPolicyNode,
  WEB,
  WEST_WEB,
} from "../../../fakes/policy-node.ts";

const context = { signal: new AbortController().signal };

const FROM_WEB = {
  peers: [{ kind: "pods", selector: app("web") }],
  ports: [{ protocol: "TCP", first: 8080, last: 8081 }],
} as const;

async function start() {
  const node = startPolicyNode();
  node.addPod("cart-1", CART, 12);
  node.addPod("web-1", WEB, 13);
  node.addAddress("10.2.1.9", { name: "web-9", identity: WEST_WEB, node: "172.16.2.1" });
  node.putPolicy(cartPolicy([FROM_WEB]));
  await node.sync();
  return { ...node, report: createPolicyReport(node.parts) };
}

describe("createPolicyReport()", () => {
  test("listEndpoints() has the pods of the node, and filters by namespace", async () => {
    await using node = await start();
    const answer = await node.report.listEndpoints({ namespace: "" }, context);
    expect(answer).toMatchObject({ node: "east-1", cluster: "east" });
    expect(answer.endpoints.map(({ name, inForce }) => [name, inForce])).toEqual([
      ["cart-1", true],
      ["web-1", true],
    ]);
    const bank = await node.report.listEndpoints({ namespace: "bank" }, context);
    expect(bank.endpoints).toEqual([]);
  });

  test("getEndpoint() shows the entries of the kernel's map with their rules", async () => {
    await using node = await start();
    const { endpoint } = await node.report.getEndpoint(
      { namespace: "shop", name: "cart-1" },
      context,
    );
    expect(endpoint).toMatchObject({
      interfaceIndex: 12,
      identity: CART,
      ingressDefaultDeny: true,
    });
    const rule = { policy: "CiliumNetworkPolicy/shop/cart", path: "spec.ingress[0]" };
    const tcp = { protocol: "TCP", firstPort: 8080, lastPort: 8081, verdict: "allow", rule };
    expect(endpoint.entries).toEqual([
      { ...anything("egress"), identity: 0 },
      { ...anything("ingress"), identity: 1 },
      { direction: "ingress", identity: WEB, cidr: "", ...tcp },
      { direction: "ingress", identity: WEST_WEB, cidr: "", ...tcp },
    ]);
    expect(endpoint.entryCount).toBe(4);
  });

  test("getEndpoint() and tracePolicy() reject with not_found for a pod of another node", async () => {
    await using node = await start();
    const request = { namespace: "shop", name: "none" };
    const error = { code: "not_found" };
    await expect(node.report.getEndpoint(request, context)).rejects.toMatchObject(error);
    const trace = {
      ...request,
      direction: "ingress",
      peerPod: null,
      peerAddress: "10.2.1.9",
      protocol: "TCP",
      port: 80,
    } as const;
    await expect(node.report.tracePolicy(trace, context)).rejects.toMatchObject(error);
  });

  test("listPolicies() and listIdentities() say what the node knows", async () => {
    await using node = await start();
    const { policies, synced } = await node.report.listPolicies({ namespace: "" }, context);
    expect(synced).toBe(true);
    expect(policies).toMatchObject([{ name: "cart", endpoints: ["shop/cart-1"], inForce: true }]);
    const { identities } = await node.report.listIdentities(
      { number: 0, cluster: "west" },
      context,
    );
    expect(identities).toMatchObject([{ number: WEST_WEB, cluster: "west", addresses: 1 }]);
  });

  test("observe() is the node's own", async () => {
    await using node = await start();
    const observed = { flow: null, lost: 7 };
    const report = createPolicyReport({
      ...node.parts,
      async *observe() {
        yield observed;
      },
    });
    const seen = [];
    for await (const one of report.observe(EVERYTHING, context)) seen.push(one);
    expect(seen).toEqual([observed]);
  });
});

const EVERYTHING = {
  last: 1,
  follow: false,
  clusters: [],
  namespaces: [],
  pods: [],
  labels: [],
  verdicts: [],
  protocols: [],
  ports: [],
};

function anything(direction: string) {
  return {
    direction,
    cidr: "",
    protocol: "ANY",
    firstPort: 0,
    lastPort: 65_535,
    verdict: "allow",
    rule: null,
  };
}
