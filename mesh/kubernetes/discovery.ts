// Under which version the API server serves EndpointSlices. Current servers serve v1, those
// before 1.21 v1beta1 only, those from 1.25 v1 only.
import { MeshError } from "../core/errors.ts";
import { readGroupVersions } from "./api-calls.ts";
import type { KubernetesTransport } from "./transport.ts";

const GROUP = "discovery.k8s.io";
/** Both mean the same to us; the first that is served is taken. */
const VERSIONS = ["v1", "v1beta1"];

export async function discoverSlicePath(
  transport: KubernetesTransport,
  signal: AbortSignal,
): Promise<string> {
  const served = await readGroupVersions(transport, GROUP, signal);
  const version = VERSIONS.find((wanted) => served.includes(wanted));
  if (version !== undefined) return `/apis/${GROUP}/${version}/endpointslices`;
  throw new MeshError(
    "unsupported",
    `Cannot list EndpointSlices: the API server serves ${GROUP} in ${served.join(", ") || "no version"}`,
    { hint: `want ${VERSIONS.join(" or ")}, which Kubernetes serves from 1.17 on` },
  );
}
