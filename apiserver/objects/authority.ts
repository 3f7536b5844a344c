// The cluster's authority: Secret `tombolo-ca` on one side, `pki/` on the other. The Secret is made
// when there is none and never replaced, because every peer trusts it; a running cluster takes a
// changed bundle from it and nothing else.
import {
  authorityFromSecret,
  secretFromAuthority,
  type ClusterAuthority,
  type Secret,
} from "../../mesh/connect/kubernetes-objects.ts";
import { isMeshError, MeshError } from "../../mesh/core/errors.ts";
import {
  AGENT_KEYS,
  AGENT_SECRET,
  AUTHORITY_SECRET,
  CLUSTER_CONFIG_MAP,
} from "../../mesh/kubernetes/object-names.ts";
import { createObject, readObject } from "../../mesh/kubernetes/objects.ts";
import type { KubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { PUBLIC_FILE_MODE, SECRET_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { encodeBundle, mergeBundles, withoutExpired, type TrustBundle } from "../../pki/bundle.ts";
import { clusterOfAuthority } from "../../pki/common-names.ts";
import {
  pkiPaths,
  readAuthority,
  readBundle,
  readKeyedCertificate,
  writeKeyedCertificate,
} from "../../pki/files.ts";
import { createCertificateAuthority } from "../../pki/issue.ts";

export interface AuthorityOptions {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  readonly cluster: string;
  /** `pki/` of the cluster directory. */
  readonly pki: string;
  readonly nowMs: () => number;
}

/**
 * Makes `pki/` hold the authority of the Secret, and the Secret if there is none. Throws
 * `invalid_argument` for a Secret that cannot be used.
 */
export async function prepareAuthority(
  options: AuthorityOptions,
  signal: AbortSignal,
): Promise<void> {
  const { transport, namespace, pki } = options;
  const secrets = `/api/v1/namespaces/${namespace}/secrets`;
  const path = `${secrets}/${AUTHORITY_SECRET}`;
  const found = await readObject<Secret>(transport, path, signal);
  if (found === undefined) {
    const made = (await readOwnAuthority(pki)) ?? (await makeAuthority(options));
    const body = secretFromAuthority(made, namespace);
    if (await createObject(transport, { path: secrets, body }, signal)) {
      await writeAuthority(pki, made);
      return;
    }
  }
  const secret = found ?? (await readObject<Secret>(transport, path, signal));
  const kept = authorityFromSecret(named(secret));
  refuseOther(kept, options.cluster);
  await writeAuthority(pki, kept);
  await reuseLocal(options, signal);
}

/** Every peer knows the authority by the former name; one of somebody's own may be called anything. */
function refuseOther({ authority }: ClusterAuthority, cluster: string): void {
  const { commonName } = authority.certificate;
  const other = clusterOfAuthority(commonName);
  if (other === undefined || other === cluster) return;
  throw new MeshError(
    "invalid_argument",
    `Cannot run cluster "${cluster}": the certificate in Secret "${AUTHORITY_SECRET}" is that of cluster "${other}"`,
    {
      hint: `name the cluster "${other}" in ConfigMap "${CLUSTER_CONFIG_MAP}" again, or uninstall Tombolo and install it as "${cluster}"`,
    },
  );
}

/** Puts a Secret back that somebody has deleted under a running cluster. */
export async function restoreAuthority(
  options: Pick<AuthorityOptions, "transport" | "namespace" | "pki">,
  signal: AbortSignal,
): Promise<void> {
  const { transport, namespace, pki } = options;
  const own = await readOwnAuthority(pki);
  if (own === undefined) return;
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  await createObject(transport, { path, body: secretFromAuthority(own, namespace) }, signal);
}

/**
 * Takes the Secret's bundle into `pki/`; returns whether that changed anything. Throws `conflict`
 * if the Secret holds another authority than the one that the running cluster stands on.
 */
export async function followBundle(
  options: Pick<AuthorityOptions, "pki" | "nowMs">,
  { authority, bundle }: ClusterAuthority,
): Promise<boolean> {
  const own = await readAuthority(options.pki);
  if (own.certificate.fingerprint !== authority.certificate.fingerprint) {
    throw new MeshError(
      "conflict",
      `Cannot change the authority of the running cluster: Secret "${AUTHORITY_SECRET}" holds another one`,
      { hint: "put the former Secret back, or restart the apiserver and connect all peers again" },
    );
  }
  // As pki/files.ts would make it: two writers of one file must agree.
  const wanted = withoutExpired(
    mergeBundles([{ authorities: [own.certificate] }, bundle]),
    options.nowMs(),
  );
  return writeBundle(options.pki, wanted);
}

async function readOwnAuthority(pki: string): Promise<ClusterAuthority | undefined> {
  try {
    const authority = await readAuthority(pki);
    return { authority, bundle: await readBundle(pkiPaths(pki).caBundle) };
  } catch (error) {
    if (isMeshError(error, "not_found")) return undefined;
    throw error;
  }
}

async function makeAuthority(options: AuthorityOptions): Promise<ClusterAuthority> {
  const authority = await createCertificateAuthority(options.cluster, options.nowMs());
  return { authority, bundle: { authorities: [authority.certificate] } };
}

async function writeAuthority(pki: string, { authority, bundle }: ClusterAuthority): Promise<void> {
  const paths = pkiPaths(pki);
  const own = await readAuthority(pki).catch(() => undefined); // Missing or broken: written anew.
  if (own?.certificate.fingerprint !== authority.certificate.fingerprint) {
    await writeKeyedCertificate(authority, {
      certificatePath: paths.caCertificate,
      keyPath: paths.caKey,
    });
  }
  await writeBundle(pki, mergeBundles([{ authorities: [authority.certificate] }, bundle]));
}

async function writeBundle(pki: string, bundle: TrustBundle): Promise<boolean> {
  const path = pkiPaths(pki).caBundle;
  const text = encodeBundle(bundle);
  const current = await readBundle(path).catch(() => undefined); // Missing or broken, likewise.
  if (current !== undefined && encodeBundle(current) === text) return false;
  await writeFileAtomic(path, text, { mode: PUBLIC_FILE_MODE });
  return true;
}

/**
 * A new directory takes the agents' certificate from their Secret, so that an apiserver that moved
 * does not give every agent a new one. One that is not good is replaced by what follows.
 */
async function reuseLocal(options: AuthorityOptions, signal: AbortSignal): Promise<void> {
  const { transport, namespace } = options;
  const paths = pkiPaths(options.pki);
  const { localCertificate, localKey } = paths;
  const kept = await readKeyedCertificate(localCertificate, localKey).catch(
    () => undefined, // There is none yet, or none that can be used.
  );
  if (kept !== undefined) return;
  const path = `/api/v1/namespaces/${namespace}/secrets/${AGENT_SECRET}`;
  const secret = await readObject<Secret>(transport, path, signal);
  const textOf = (key: string): string =>
    Buffer.from(secret?.data?.[key] ?? "", "base64").toString("utf8");
  const [key, certificate] = [textOf(AGENT_KEYS.privateKey), textOf(AGENT_KEYS.certificate)];
  if (key === "" || certificate === "") return;
  await writeFileAtomic(localKey, key, { mode: SECRET_FILE_MODE });
  await writeFileAtomic(localCertificate, certificate, { mode: PUBLIC_FILE_MODE });
}

/** Objects do not say of themselves what they are, and messages must. */
function named(secret: Secret | undefined): Secret | undefined {
  return secret === undefined ? undefined : { ...secret, kind: "Secret" };
}
