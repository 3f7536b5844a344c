// Secret `tombolo-agent`: what agents read the cluster's etcd with, as `pki/` has it. Made when it
// is missing, set right when it differs, whoever made it differ.
import type { Secret } from "../../mesh/connect/kubernetes-objects.ts";
import { AGENT_KEYS, AGENT_SECRET } from "../../mesh/kubernetes/object-names.ts";
import { encodeBundle } from "../../pki/bundle.ts";
import { pkiPaths, readBundle, readKeyedCertificate } from "../../pki/files.ts";
import { createObject, replaceObject } from "../../mesh/kubernetes/objects.ts";
import type { KubernetesTransport } from "../../mesh/kubernetes/transport.ts";

export interface AgentCredentials {
  /** Base64, as the object has them. */
  readonly data: Readonly<Record<string, string>>;
}

export async function readAgentCredentials(pki: string): Promise<AgentCredentials> {
  const paths = pkiPaths(pki);
  const bundle = await readBundle(paths.caBundle);
  const local = await readKeyedCertificate(paths.localCertificate, paths.localKey);
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return {
    data: {
      [AGENT_KEYS.bundle]: base64(encodeBundle(bundle)),
      [AGENT_KEYS.certificate]: base64(local.certificate.pem),
      [AGENT_KEYS.privateKey]: base64(local.privateKey.encodePem()),
    },
  };
}

/** The object to write, or undefined if `current` is as it should be. Labels of others stay. */
export function planAgentSecret(
  current: Secret | undefined,
  { credentials, namespace }: { credentials: AgentCredentials; namespace: string },
): Secret | undefined {
  const { data } = credentials;
  const keys = Object.keys(data);
  const same =
    Object.keys(current?.data ?? {}).length === keys.length &&
    keys.every((key) => current?.data?.[key] === data[key]);
  if (current !== undefined && same) return undefined;
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: current?.metadata ?? { name: AGENT_SECRET, namespace },
    // The type of an object cannot be changed.
    type: current?.type ?? "Opaque",
    data,
  };
}

/** Returns what stands there now; undefined for a new one, which the watch will tell. */
export async function writeAgentSecret(
  transport: KubernetesTransport,
  { body, namespace }: { body: Secret; namespace: string },
  signal: AbortSignal,
): Promise<Secret | undefined> {
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  if (body.metadata.resourceVersion !== undefined) {
    return replaceObject<Secret>(transport, { path: `${path}/${AGENT_SECRET}`, body }, signal);
  }
  await createObject(transport, { path, body }, signal);
  return undefined;
}
