// Asking the apiserver of a Kubernetes cluster how it is: `mesh status` runs inside its container,
// where its socket is, so that no port of it needs to be reachable.
import { isMeshError, MeshError } from "../core/errors.ts";
import type { PodExec } from "../kubernetes/exec.ts";
import { APISERVER_CONTAINER, APISERVER_NAME, NAME_LABEL } from "../kubernetes/object-names.ts";
import { findPod, type FoundPod } from "../kubernetes/ready-pod.ts";
import type { KubernetesTransport } from "../kubernetes/transport.ts";
import type { ApiserverStatusMessage, DrillCheckMessage } from "../api/apiserver-client.ts";
import type { PeerStatusReader } from "./cluster-facts.ts";

/** What `mesh status` shows of an apiserver. */
export type ReportedStatus = Pick<
  ApiserverStatusMessage,
  "version" | "ready" | "reasons" | "uptimeSeconds" | "peers" | "drains" | "operations"
> & {
  /** Undefined where `checkDrills` asks for it. */
  readonly drills?: DrillCheckMessage | undefined;
};

export interface ReportedStatusReader extends PeerStatusReader {
  /** Rejects with `unavailable` when no apiserver answers. */
  readStatus(signal: AbortSignal): Promise<ReportedStatus>;
  /** Undefined where `readStatus` tells it. */
  readonly checkDrills?: (signal: AbortSignal) => Promise<DrillCheckMessage>;
}

const STATUS_COMMAND = ["mesh", "status", "--output", "json"];

export interface InPod {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  readonly exec: PodExec;
}

export function createPodStatusReader(options: InPod): ReportedStatusReader {
  const { exec, namespace } = options;
  const readStatus = async (signal: AbortSignal): Promise<ReportedStatus> => {
    const pod = await findApiserverPod(options, signal);
    const result = await exec.run(
      { namespace, pod: pod.name, container: APISERVER_CONTAINER, argv: STATUS_COMMAND },
      signal,
    );
    return parseStatus(result, pod.name);
  };
  return { readStatus, readPeers: async (signal) => (await readStatus(signal)).peers };
}

export function findApiserverPod(
  { transport, namespace }: Pick<InPod, "transport" | "namespace">,
  signal: AbortSignal,
): Promise<FoundPod> {
  const labelSelector = `${NAME_LABEL}=${APISERVER_NAME}`;
  return findPod(transport, { namespace, labelSelector, what: "the apiserver" }, signal);
}

/** Where the apiserver is now; undefined if it is nowhere, or if we may not know. */
export async function findApiserverNode(
  cluster: Pick<InPod, "transport" | "namespace">,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await findApiserverPod(cluster, signal)).node;
  } catch (error) {
    const codes = ["not_found", "unavailable", "permission_denied"] as const;
    if (codes.some((code) => isMeshError(error, code))) return undefined;
    throw error;
  }
}

/** One context is known inside the pod: the cluster's own. A status of 1 means not all is well. */
function parseStatus(
  result: { readonly stdout: string; readonly stderr: string; readonly status: number },
  pod: string,
): ReportedStatus {
  const refusal = (reason: string, cause?: unknown): MeshError =>
    new MeshError("unavailable", `Cannot ask the apiserver in pod "${pod}": ${reason}`, { cause });
  let answer: unknown;
  try {
    answer = JSON.parse(result.stdout);
  } catch (cause) {
    const said =
      result.stderr
        .trim()
        .split("\n", 1)[0]
        ?.replace(/^mesh: error: /, "") ?? "";
    throw refusal(said === "" ? `its answer is no JSON (status ${result.status})` : said, cause);
  }
  const [first] = (Array.isArray(answer) ? answer : []) as {
    readonly apiserver?: ReportedStatus;
    readonly drills?: DrillCheckMessage;
    readonly problem?: string;
  }[];
  if (first?.apiserver !== undefined) {
    return { ...first.apiserver, drills: first.drills };
  }
  throw refusal(first?.problem ?? "it knows no cluster");
}
