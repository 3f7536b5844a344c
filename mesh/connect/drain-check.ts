// Asking an apiserver whether others could take over: its socket on this machine, or `mesh facts`
// in its pod.
import type { DrainCheckMessage } from "../api/apiserver-client.ts";
import type { CheckDrainRequest } from "../api/apiserver-server.ts";
import { MeshError } from "../core/errors.ts";
import { APISERVER_CONTAINER } from "../kubernetes/object-names.ts";
import { findApiserverPod, type InPod } from "./kubernetes-apiserver.ts";

export interface DrainChecker {
  /** Rejects with `unavailable` when no apiserver answers. */
  checkDrain(request: CheckDrainRequest, signal: AbortSignal): Promise<DrainCheckMessage>;
}

export function createPodDrainChecker(options: InPod): DrainChecker {
  const { exec, namespace } = options;
  return {
    async checkDrain({ cluster, services }, signal) {
      const pod = await findApiserverPod(options, signal);
      const named = services.flatMap((service) => ["--service", service]);
      const argv = ["mesh", "facts", "--drain-of", cluster, ...named];
      const target = { namespace, pod: pod.name, container: APISERVER_CONTAINER, argv };
      const { status, stdout, stderr } = await exec.run(target, signal);
      const refuse = (reason: string, cause?: unknown): MeshError =>
        new MeshError("unavailable", `Cannot ask the apiserver in pod "${pod.name}": ${reason}`, {
          cause,
        });
      if (status !== 0) throw refuse(stderr.trim().split("\n", 1)[0] ?? "");
      try {
        return JSON.parse(stdout) as DrainCheckMessage;
      } catch (cause) {
        throw refuse("its answer is no JSON", cause);
      }
    },
  };
}
