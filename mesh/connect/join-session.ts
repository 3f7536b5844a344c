// The inviter's half of one join, from proposal to confirmation, without any transport. Nothing
// is written before `commitJoin`, and what it writes can be put back.
import type { TrustBundle } from "../../pki/bundle.ts";
import { parseCertificate } from "../../pki/certificate.ts";
import { isKeyOf } from "../../pki/issue.ts";
import { generatePrivateKey, LEAF_KEY_BITS, type PrivateKey } from "../../pki/private-key.ts";
import {
  createSigningRequest,
  parseSigningRequest,
  type SigningRequest,
} from "../../pki/signing-request.ts";
import { meshServerName, remoteCommonName } from "../../pki/common-names.ts";
import { verifyCertificate } from "../../pki/verify.ts";
import type { Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import type { ClusterFacts } from "./cluster-facts.ts";
import { probeEndpoint } from "./endpoint-probe.ts";
import { preflight } from "./preflight.ts";

/** One side's key and what it asks the other side to sign. */
export interface ClientRequest {
  readonly privateKey: PrivateKey;
  readonly request: SigningRequest;
}

/** A proposal that was accepted. */
export interface Proposal {
  readonly own: ClusterFacts;
  readonly joiner: ClusterFacts;
  readonly client: ClientRequest;
  /** For the joiner's client certificate, to be signed when it has committed. */
  readonly joinerRequest: SigningRequest;
}

export async function createClientRequest(reader: string): Promise<ClientRequest> {
  const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
  return { privateKey, request: createSigningRequest(reader, privateKey) };
}

/** Throws `conflict` with all errors of the preflight, judged from the inviter's side. */
export async function acceptProposal(
  access: ClusterAccess,
  options: { joiner: ClusterFacts; signingRequest: string; signal: AbortSignal },
): Promise<Proposal> {
  const { joiner, signal } = options;
  const joinerRequest = parseSigningRequest(options.signingRequest);
  const own = await access.readFacts(signal);
  refuseErrors([own, joiner]);
  const client = await createClientRequest(own.profile.name);
  return { own, joiner, client, joinerRequest };
}

/** Throws `conflict` if the clusters do not fit together. */
export function refuseErrors(clusters: readonly ClusterFacts[]): void {
  const errors = preflight(clusters).filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (first === undefined) return;
  const reasons = errors.map(({ message }) => message).join("; ");
  throw new MeshError("conflict", `Cannot join: ${reasons}`, { hint: first.hint });
}

/**
 * Whom `own` believes to be the cluster of that name already. A cluster that comes under a known
 * name must prove itself by an authority that is known: showing a bundle proves nothing, because
 * everybody can show another cluster's.
 */
export function knownBundle(own: ClusterFacts, name: string): TrustBundle | undefined {
  return own.peers.find((peer) => peer.name === name)?.bundle;
}

/**
 * Checks the certificate that `peer` signed for `client`, and that with it the peer's etcd can be
 * reached from here; then makes the cluster read the peer and be read by it.
 */
export async function installSide(
  access: ClusterAccess,
  options: {
    own: ClusterFacts;
    peer: ClusterFacts;
    client: ClientRequest;
    certificatePem: string;
    clock: Clock;
    signal: AbortSignal;
  },
): Promise<void> {
  const { own, peer, client, clock, signal } = options;
  const certificate = parseCertificate(options.certificatePem, `signed by "${peer.profile.name}"`);
  verifyCertificate(certificate, {
    bundle: knownBundle(own, peer.profile.name) ?? peer.bundle,
    nowMs: clock.nowMs(),
    usage: "client",
    commonName: remoteCommonName(own.profile.name),
  });
  const { privateKey } = client;
  if (!isKeyOf(privateKey, certificate)) {
    throw new MeshError("unauthenticated", "Cannot use the signed certificate: it has another key");
  }
  const keyed = { certificate, privateKey };
  await refuseUnreachable(peer, { client: keyed, clock, own: own.profile.name, signal });
  await access.admitReader(peer.profile.name);
  await access.installPeer({
    name: peer.profile.name,
    endpoints: peer.profile.etcdEndpoints,
    bundle: peer.bundle,
    client: keyed,
  });
}

async function refuseUnreachable(
  peer: ClusterFacts,
  options: {
    client: Parameters<typeof probeEndpoint>[0]["client"];
    clock: Clock;
    own: string;
    signal: AbortSignal;
  },
): Promise<void> {
  const { client, clock, signal } = options;
  const { bundle, profile } = peer;
  const serverName = meshServerName(profile.name);
  const probes = await Promise.all(
    profile.etcdEndpoints.map((endpoint) =>
      probeEndpoint({ endpoint, serverName, bundle, client, clock }, signal),
    ),
  );
  const reasons = probes.flatMap(({ endpoint, answer }) =>
    answer.kind === "reachable" ? [] : [`${endpoint}: ${answer.reason}`],
  );
  if (reasons.length < probes.length) return;
  throw new MeshError(
    "unavailable",
    `Cannot join: cluster "${options.own}" does not reach the etcd of "${profile.name}": ${reasons.join("; ")}`,
    { hint: "each cluster must reach the other's etcd; check addresses, routes and firewalls" },
  );
}
