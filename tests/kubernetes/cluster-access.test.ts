// Access through a real Kubernetes API, against the contract of cluster access.
import { describeClusterAccess } from "../contract/cluster-access.ts";
import { createKubernetesCluster } from "../fakes/kubernetes-cluster.ts";
import { startTestKubernetes } from "../fakes/kubernetes.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createKubernetesTransport } from "../../mesh/kubernetes/transport.ts";

const NAMESPACE = "mesh";

describeClusterAccess("openKubernetesAccess()", async () => {
  const kubernetes = await startTestKubernetes();
  const { path: kubeconfig } = await kubernetes.writeKubeconfig();
  await kubernetes.call({
    method: "POST",
    path: "/api/v1/namespaces",
    body: { metadata: { name: NAMESPACE } },
  });
  const east = await createKubernetesCluster({
    transport: createKubernetesTransport({ kubeconfig }, { clock: systemClock }),
    name: "east",
    id: 1,
    namespace: NAMESPACE,
    etcdEndpoints: ["https://127.0.0.1:1"],
    joinEndpoint: "127.0.0.1:1",
  });
  return {
    access: east.open(),
    other: east.open(),
    contents: () => east.contents(),
    mark: async () => {
      const labels = { team: "net" };
      const annotations = { "example.org/owner": "somebody else" };
      await kubernetes.call({
        method: "PATCH",
        path: `/api/v1/namespaces/${NAMESPACE}/secrets/tombolo-peer-west`,
        body: { metadata: { labels, annotations }, data: { "notes.txt": "YQ==" } },
      });
    },
    empty: () => east.empty(),
    close: () => kubernetes.close(),
  };
});
