import { describe, expect, test } from "@jest/globals";
import { findPod } from "../../../../mesh/kubernetes/ready-pod.ts";
import { createFakeTransport } from "../../../fakes/kubernetes-transport.ts";

const never = new AbortController().signal;
const QUERY = { namespace: "mesh", labelSelector: "app=x", what: "the agent" };

function pod(name: string, state: { phase?: string; ready?: boolean; ending?: boolean } = {}) {
  const { phase = "Running", ready = true, ending = false } = state;
  const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
  const deletion = ending ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {};
  return {
    metadata: { name, ...deletion },
    spec: { nodeName: `node-of-${name}` },
    status: { phase, conditions },
  };
}

async function find(pods: readonly object[], node?: string) {
  const transport = createFakeTransport();
  transport.answer(200, { metadata: { resourceVersion: "1" }, items: pods });
  const found = await findPod(transport, { ...QUERY, node }, never);
  return { found, asked: transport.requests[0] };
}

describe("findPod()", () => {
  test("finds the ready one", async () => {
    const pods = [pod("a", { phase: "Pending" }), pod("b", { ready: false }), pod("c")];
    const { found, asked } = await find([pod("old", { ending: true }), ...pods]);
    expect(found).toEqual({ name: "c", node: "node-of-c" });
    expect(asked?.path).toBe("/api/v1/namespaces/mesh/pods");
    expect(asked?.query.get("labelSelector")).toBe("app=x");
    expect(asked?.query.get("fieldSelector")).toBeNull();
  });

  test("takes one that runs and is not ready when there is no better", async () => {
    const { found } = await find([pod("a", { ready: false })]);
    expect(found.name).toBe("a");
  });

  test("looks on one node when one is named", async () => {
    const { asked } = await find([pod("a")], "n1");
    expect(asked?.query.get("fieldSelector")).toBe("spec.nodeName=n1");
  });

  test("says what there is instead", async () => {
    await expect(find([], "n1")).rejects.toMatchObject({
      code: "not_found",
      message:
        'Cannot find a pod of the agent on node "n1": there is none with app=x in namespace "mesh"',
    });
    await expect(
      find([pod("a", { phase: "Pending" }), pod("b", { ending: true })]),
    ).rejects.toMatchObject({
      code: "unavailable",
      message: 'Cannot ask the agent: no pod of it runs: "a" is Pending, "b" is ending',
    });
  });
});
