// Access through a Kubernetes API, on the one in memory, against the contract of cluster access.
import { createKubernetesCluster } from "../fakes/kubernetes-cluster.ts";
import { createMemoryKubernetes } from "../fakes/memory-kubernetes.ts";
import { describeClusterAccess } from "./cluster-access.ts";

describeClusterAccess("openKubernetesAccess() on an API in memory", async () => {
  const transport = createMemoryKubernetes();
  const east = await createKubernetesCluster({
    transport,
    name: "east",
    id: 1,
    namespace: "mesh",
    etcdEndpoints: ["https://127.0.0.1:1"],
    joinEndpoint: "127.0.0.1:1",
  });
  const secrets = "/api/v1/namespaces/mesh/secrets";
  return {
    access: east.open(),
    other: east.open(),
    contents: () => east.contents(),
    mark: async () => {
      const secret = transport.objects.get(`${secrets}/tombolo-peer-west`);
      const labels = { ...(secret?.metadata["labels"] as object), team: "net" };
      const annotations = { "example.org/owner": "somebody else" };
      transport.put(secrets, { ...secret, metadata: { ...secret?.metadata, labels, annotations } });
    },
    empty: () => east.empty(),
    close: () => Promise.resolve(),
  };
});
