// The operations plane of a Kubernetes cluster, for who has a kubeconfig and nothing else: a
// program in the apiserver's container speaks with NATS as the cluster's admin, and we with it
// through the API server. The certificate stays in the pod; what it takes is the right to run
// programs there.
import type { KubernetesContext } from "../contexts/contexts.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { createPodStreams } from "../kubernetes/exec-stream.ts";
import { APISERVER_CONTAINER } from "../kubernetes/object-names.ts";
import type { OperationsConnection } from "../operations/connection.ts";
import { createNatsConnection } from "../operations/nats-connection.ts";
import { inPodOf } from "./context-access.ts";
import { findApiserverPod } from "./kubernetes-apiserver.ts";

/** Copies between its standard streams and the cluster's NATS. */
const BRIDGE_COMMAND = ["mesh", "bridge"];

/** `run` of the connection is the caller's. The pod is looked for anew with every attempt. */
export function openPodOperations(
  context: KubernetesContext,
  environment: { readonly clock: Clock; readonly random: () => number; readonly log: Logger },
): OperationsConnection {
  const cluster = inPodOf(context, environment.clock);
  const { kubeconfig, kubeContext } = context;
  const streams = createPodStreams({ kubeconfig, context: kubeContext });
  return createNatsConnection({
    ...environment,
    name: "operator",
    place: `the NATS of context "${context.name}"`,
    openBridge: async (signal) => {
      const { name: pod } = await findApiserverPod(cluster, signal);
      const { namespace } = cluster;
      const container = APISERVER_CONTAINER;
      return streams.open({ namespace, pod, container, argv: BRIDGE_COMMAND }, signal);
    },
  });
}
