import { beforeEach, describe, expect, test } from "@jest/globals";
import { readKubernetesInviter } from "../../../../mesh/connect/kubernetes-inviter.ts";
import { createKubernetesCluster } from "../../../fakes/kubernetes-cluster.ts";
import { createMemoryKubernetes, type MemoryKubernetes } from "../../../fakes/memory-kubernetes.ts";

const never = new AbortController().signal;
let api: MemoryKubernetes;

beforeEach(() => {
  api = createMemoryKubernetes();
  for (const [index, name] of ["a", "b", "c"].entries()) {
    const addresses = [{ type: "InternalIP", address: `10.0.0.${index + 1}` }];
    api.put("/api/v1/nodes", { metadata: { name }, status: { addresses } });
  }
});

async function inviter(joinEndpoint?: string) {
  const cluster = { transport: api, name: "east", id: 1, namespace: "mesh" };
  const { authority } = await createKubernetesCluster({
    ...cluster,
    etcdEndpoints: undefined,
    joinEndpoint,
  });
  const read = await readKubernetesInviter({ transport: api, namespace: "mesh" }, never);
  expect(read.authority.fingerprint).toBe(authority.certificate.fingerprint);
  expect(read.cluster).toMatchObject({ name: "east", id: 1 });
  return read.joinEndpoints;
}

describe("readKubernetesInviter()", () => {
  test("names the apiserver's node first, then all nodes", async () => {
    api.put("/api/v1/namespaces/mesh/pods", {
      metadata: { name: "p", labels: { "app.kubernetes.io/name": "tombolo-apiserver" } },
      spec: { nodeName: "b" },
      status: { phase: "Running" },
    });
    expect(await inviter()).toEqual(["10.0.0.2:32381", "10.0.0.1:32381", "10.0.0.3:32381"]);
  });

  test("names all nodes when no apiserver runs now", async () => {
    expect(await inviter()).toEqual(["10.0.0.1:32381", "10.0.0.2:32381", "10.0.0.3:32381"]);
  });

  test("names what the cluster was given", async () => {
    expect(await inviter("join.example.org:443")).toEqual(["join.example.org:443"]);
  });
});
