// The Kubernetes objects in which a cluster keeps its connections, and the values they stand for:
// peers, readers, invitations, authority. Pure: objects in, values out, and back. Whatever cannot
// be used is refused with the object and the key.
import { encodeBundle, parseBundle, type TrustBundle } from "../../pki/bundle.ts";
import { parseCertificate } from "../../pki/certificate.ts";
import { isKeyOf, type CertificateAuthority, type KeyedCertificate } from "../../pki/issue.ts";
import { parsePrivateKey } from "../../pki/private-key.ts";
import { parseClusterName } from "../core/cluster.ts";
import { MeshError, messageFromError } from "../core/errors.ts";
import {
  AUTHORITY_KEYS,
  AUTHORITY_SECRET,
  INVITES_SECRET,
  PEER_KEYS,
  PEER_LABEL,
  PEER_SECRET_PREFIX,
  READERS_CONFIG_MAP,
  READERS_KEY,
} from "../kubernetes/object-names.ts";
import type { ApiObject } from "../kubernetes/watch-state.ts";
import type { PeerInstallation } from "./cluster-access.ts";
import type { InstalledPeer } from "./cluster-facts.ts";
import { parseInvite, type Invite } from "./invite-store.ts";
import { encodeRemoteUsers, parseRemoteUsers } from "./peer-file.ts";

/** An object with data as the API server gives it; what we write has no more than this. */
interface DataObject extends ApiObject {
  readonly apiVersion?: string;
  readonly metadata: ApiObject["metadata"] & {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

export interface Secret extends DataObject {
  readonly kind?: "Secret";
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface ConfigMap extends DataObject {
  readonly kind?: "ConfigMap";
  readonly data?: Readonly<Record<string, string>>;
}

export interface ClusterAuthority {
  readonly authority: CertificateAuthority;
  /** Whom the cluster's servers believe; more than the authority during a rotation. */
  readonly bundle: TrustBundle;
}

/** The limit of a peer's endpoints: far above any cluster's, and a bound for what is tried. */
const MAX_ENDPOINTS = 64;

export function peerSecretName(peer: string): string {
  return `${PEER_SECRET_PREFIX}${parseClusterName(peer)}`;
}

export function secretFromPeer(peer: PeerInstallation, namespace: string): Secret {
  return secret({
    name: peerSecretName(peer.name),
    namespace,
    labels: { [PEER_LABEL]: peer.name },
    data: {
      [PEER_KEYS.endpoints]: peer.endpoints.map((endpoint) => `${endpoint}\n`).join(""),
      [PEER_KEYS.bundle]: encodeBundle(peer.bundle),
      [PEER_KEYS.certificate]: peer.client.certificate.pem,
      [PEER_KEYS.privateKey]: peer.client.privateKey.encodePem(),
    },
  });
}

/** Throws `invalid_argument` naming the Secret and the key. */
export function peerFromSecret(secret: Secret): PeerInstallation {
  return {
    name: peerNameOfSecret(secret),
    endpoints: endpointsOfSecret(secret),
    bundle: bundleOfSecret(secret, PEER_KEYS.bundle),
    client: keyPairOfSecret(secret, PEER_KEYS),
  };
}

/** The peer whose Secret it is: the label says so, and the object's name must agree. */
export function peerNameOfSecret(secret: Secret): string {
  const label = secret.metadata.labels?.[PEER_LABEL];
  if (label !== undefined && secret.metadata.name === `${PEER_SECRET_PREFIX}${label}`) {
    return parseClusterName(label);
  }
  throw new MeshError(
    "invalid_argument",
    `Cannot use ${describeObject("Secret", secret)}: label "${PEER_LABEL}" is ${JSON.stringify(label ?? "")}, want the name behind "${PEER_SECRET_PREFIX}"`,
  );
}

/** What stands there of a peer, in order or not: the first problem instead of an error. */
export function installedPeerFromSecret(secret: Secret): InstalledPeer {
  const problems: string[] = [];
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      problems.push(messageFromError(error));
      return undefined;
    }
  };
  const endpoints = attempt(() => endpointsOfSecret(secret));
  const bundle = attempt(() => bundleOfSecret(secret, PEER_KEYS.bundle));
  const client = attempt(() => keyPairOfSecret(secret, PEER_KEYS));
  return {
    name: secret.metadata.name.slice(PEER_SECRET_PREFIX.length),
    id: undefined,
    endpoints: endpoints ?? [],
    bundle,
    client: client?.certificate,
    problem: problems[0],
  };
}

export function configMapFromReaders(readers: readonly string[], namespace: string): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: READERS_CONFIG_MAP, namespace },
    data: { [READERS_KEY]: encodeRemoteUsers(readers) },
  };
}

/** No object, or none of its key, means no readers. Throws `invalid_argument`. */
export function readersFromConfigMap(configMap: ConfigMap | undefined): string[] {
  const text = configMap?.data?.[READERS_KEY];
  if (configMap === undefined || text === undefined) return [];
  return parseRemoteUsers(text, `${describeObject("ConfigMap", configMap)}, key ${READERS_KEY}`);
}

export function secretFromInvites(invites: readonly Invite[], namespace: string): Secret {
  const data = Object.fromEntries(invites.map((invite) => [invite.id, JSON.stringify(invite)]));
  return secret({ name: INVITES_SECRET, namespace, labels: {}, data });
}

/** No object means no invitations. Throws `data_loss` for one that cannot be read. */
export function invitesFromSecret(secret: Secret | undefined): Invite[] {
  if (secret === undefined) return [];
  return Object.keys(secret.data ?? {}).map((id) =>
    parseInvite(textOfSecret(secret, id), `${describeObject("Secret", secret)}, key ${id}`),
  );
}

export function secretFromAuthority(cluster: ClusterAuthority, namespace: string): Secret {
  const { authority, bundle } = cluster;
  return secret({
    name: AUTHORITY_SECRET,
    namespace,
    labels: {},
    data: {
      [AUTHORITY_KEYS.certificate]: authority.certificate.pem,
      [AUTHORITY_KEYS.privateKey]: authority.privateKey.encodePem(),
      [AUTHORITY_KEYS.bundle]: encodeBundle(bundle),
    },
  });
}

/** Throws `not_found` or `invalid_argument` naming the Secret and the key. */
export function authorityFromSecret(secret: Secret | undefined): ClusterAuthority {
  if (secret === undefined) {
    throw new MeshError(
      "not_found",
      `Cannot read the cluster's authority: there is no Secret "${AUTHORITY_SECRET}"`,
      { hint: "the apiserver makes it when it starts; does it run?" },
    );
  }
  return {
    authority: keyPairOfSecret(secret, AUTHORITY_KEYS),
    bundle: bundleOfSecret(secret, AUTHORITY_KEYS.bundle),
  };
}

/** `Secret NAMESPACE/NAME`: how messages name an object. Those of a list carry no kind. */
export function describeObject(kind: string, { metadata }: ApiObject): string {
  const { namespace, name } = metadata;
  return `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}

function secret(options: {
  name: string;
  namespace: string;
  labels: Readonly<Record<string, string>>;
  data: Readonly<Record<string, string>>;
}): Secret {
  const { name, namespace, labels } = options;
  const data = Object.entries(options.data).map(
    ([key, text]) => [key, Buffer.from(text).toString("base64")] as const,
  );
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, ...(Object.keys(labels).length === 0 ? {} : { labels }) },
    type: "Opaque",
    data: Object.fromEntries(data),
  };
}

function endpointsOfSecret(secret: Secret): string[] {
  const endpoints = textOfSecret(secret, PEER_KEYS.endpoints)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const wrong = endpoints.find((line) => !line.startsWith("https://") || !URL.canParse(line));
  if (endpoints.length === 0 || endpoints.length > MAX_ENDPOINTS || wrong !== undefined) {
    const found =
      wrong === undefined ? `${endpoints.length} lines` : JSON.stringify(wrong.slice(0, 80));
    throw refusal(secret, {
      key: PEER_KEYS.endpoints,
      reason: `want 1 to ${MAX_ENDPOINTS} lines, each "https://ADDRESS:PORT"; found ${found}`,
    });
  }
  return endpoints;
}

function bundleOfSecret(secret: Secret, key: string): TrustBundle {
  return parseBundle(textOfSecret(secret, key), nameOfKey(secret, key));
}

function keyPairOfSecret(
  secret: Secret,
  keys: { readonly certificate: string; readonly privateKey: string },
): KeyedCertificate {
  const certificate = parseCertificate(
    textOfSecret(secret, keys.certificate),
    nameOfKey(secret, keys.certificate),
  );
  const privateKey = parsePrivateKey(
    textOfSecret(secret, keys.privateKey),
    nameOfKey(secret, keys.privateKey),
  );
  if (isKeyOf(privateKey, certificate)) return { certificate, privateKey };
  const reason = `it is not the key of "${keys.certificate}"`;
  throw refusal(secret, { key: keys.privateKey, reason });
}

function textOfSecret(secret: Secret, key: string): string {
  const encoded = secret.data?.[key];
  if (encoded === undefined) throw refusal(secret, { key, reason: "it is missing" });
  return Buffer.from(encoded, "base64").toString("utf8");
}

function nameOfKey(secret: Secret, key: string): string {
  return `"${key}" of ${describeObject("Secret", secret)}`;
}

function refusal(secret: Secret, { key, reason }: { key: string; reason: string }): MeshError {
  return new MeshError("invalid_argument", `Cannot use ${nameOfKey(secret, key)}: ${reason}`);
}
