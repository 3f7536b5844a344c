// Making certificates: the cluster's own authority and the few kinds it signs, each a function
// without options to get wrong. Values in, values out: nothing here reads or writes a file.
//
//   tombolo-ca-east ──signs──► clustermesh-apiserver.cilium.io   server of etcd and the join API
//                              admin-east                        east's apiserver, etcd root
//                              local-east                        east's agents, read-only
//                              remote-west                       the peer west, from west's CSR
import { createPublicKey, randomBytes, type KeyObject } from "node:crypto";
import forge from "node-forge";
import {
  adminCommonName,
  authorityCommonName,
  localCommonName,
  MESH_DOMAIN,
  remoteCommonName,
  SERVER_COMMON_NAME,
} from "./common-names.ts";
import { parseCertificate, type Certificate } from "./certificate.ts";
import { CA_KEY_BITS, generatePrivateKey, LEAF_KEY_BITS, type PrivateKey } from "./private-key.ts";
import { forgePublicKey, forgeSigner } from "./forge-keys.ts";
import type { SigningRequest } from "./signing-request.ts";

const DAY_MS = 86_400_000;
/** Three years: what Cilium issues (reference §4.2), so that mixed meshes renew alike. */
export const LEAF_LIFETIME_MS = 1095 * DAY_MS;
/** Ten years: the CA must outlive every certificate it signs, and renewing trust takes people. */
export const CA_LIFETIME_MS = 3650 * DAY_MS;
/** Certificates begin in the past so that a reader whose clock is a little behind accepts them. */
export const BACKDATE_MS = 5 * 60_000;

/** Where the apiserver's Kubernetes Service stands; Cilium's default. */
const APISERVER_NAMESPACE = "kube-system";

export interface KeyedCertificate {
  readonly certificate: Certificate;
  readonly privateKey: PrivateKey;
}

/** A certificate that signs others, and its key. */
export type CertificateAuthority = KeyedCertificate;

export async function createCertificateAuthority(
  cluster: string,
  nowMs: number,
): Promise<CertificateAuthority> {
  const privateKey = await generatePrivateKey(CA_KEY_BITS);
  const commonName = authorityCommonName(cluster);
  const certificate = sign({
    commonName,
    publicKey: createPublicKey(privateKey.keyObject),
    issuer: { commonName, privateKey, keyId: undefined },
    nowMs,
    lifetimeMs: CA_LIFETIME_MS,
    extensions: [
      // A leaf's holder must not be able to sign others: no certificate stands below a leaf's.
      { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { certificate, privateKey };
}

/** The certificate of a cluster's etcd and join API. */
export async function issueServer(
  authority: CertificateAuthority,
  nowMs: number,
): Promise<KeyedCertificate> {
  const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
  const certificate = issueLeaf(authority, {
    commonName: SERVER_COMMON_NAME,
    publicKey: createPublicKey(privateKey.keyObject),
    nowMs,
    // etcd dials its own client port with its server certificate.
    usage: { serverAuth: true, clientAuth: true },
    names: [
      dnsName(SERVER_COMMON_NAME),
      dnsName(`*${MESH_DOMAIN}`),
      dnsName(`clustermesh-apiserver.${APISERVER_NAMESPACE}.svc`),
      ipName("127.0.0.1"),
      ipName("::1"),
    ],
  });
  return { certificate, privateKey };
}

/** The client certificate of the cluster's own apiserver: etcd's root. */
export async function issueAdmin(
  authority: CertificateAuthority,
  options: { cluster: string; nowMs: number },
): Promise<KeyedCertificate> {
  return issueClient(authority, {
    commonName: adminCommonName(options.cluster),
    nowMs: options.nowMs,
  });
}

/** The client certificate of the cluster's own agents: they read, and write nothing. */
export async function issueLocal(
  authority: CertificateAuthority,
  options: { cluster: string; nowMs: number },
): Promise<KeyedCertificate> {
  return issueClient(authority, {
    commonName: localCommonName(options.cluster),
    nowMs: options.nowMs,
  });
}

/** The certificate of a kube-apiserver that the lab starts; nothing of the mesh believes it. */
export async function issueKubernetesServer(
  authority: CertificateAuthority,
  options: { dnsNames: readonly string[]; addresses: readonly string[]; nowMs: number },
): Promise<KeyedCertificate> {
  const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
  const certificate = issueLeaf(authority, {
    commonName: "kube-apiserver",
    publicKey: createPublicKey(privateKey.keyObject),
    nowMs: options.nowMs,
    usage: { serverAuth: true },
    names: [...options.dnsNames.map(dnsName), ...options.addresses.map(ipName)],
  });
  return { certificate, privateKey };
}

/** The client certificate by which that kube-apiserver calls the lab's kubelets. */
export async function issueKubeletClient(
  authority: CertificateAuthority,
  nowMs: number,
): Promise<KeyedCertificate> {
  return issueClient(authority, { commonName: "kube-apiserver-kubelet-client", nowMs });
}

/**
 * The client certificate by which the cluster `reader` reads the authority's cluster. Made from a
 * signing request, whose own subject is ignored: the private key never leaves the reader, and
 * the name is the signer's decision.
 */
export function issueRemote(
  authority: CertificateAuthority,
  options: { reader: string; request: SigningRequest; nowMs: number },
): Certificate {
  return issueLeaf(authority, {
    commonName: remoteCommonName(options.reader),
    publicKey: options.request.publicKey,
    nowMs: options.nowMs,
    usage: { clientAuth: true },
    names: [],
  });
}

async function issueClient(
  authority: CertificateAuthority,
  options: { commonName: string; nowMs: number },
): Promise<KeyedCertificate> {
  const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
  const publicKey = createPublicKey(privateKey.keyObject);
  const usage = { clientAuth: true };
  const certificate = issueLeaf(authority, { ...options, publicKey, usage, names: [] });
  return { certificate, privateKey };
}

interface LeafRequest {
  readonly commonName: string;
  readonly publicKey: KeyObject;
  readonly nowMs: number;
  readonly usage: { readonly serverAuth?: boolean; readonly clientAuth?: boolean };
  readonly names: readonly object[];
}

function issueLeaf(authority: CertificateAuthority, leaf: LeafRequest): Certificate {
  const parent = authority.certificate;
  const names = leaf.names.length === 0 ? [] : [{ name: "subjectAltName", altNames: leaf.names }];
  return sign({
    commonName: leaf.commonName,
    publicKey: leaf.publicKey,
    issuer: {
      commonName: parent.commonName,
      privateKey: authority.privateKey,
      keyId: keyIdentifier(parent.x509.publicKey),
    },
    nowMs: leaf.nowMs,
    // A leaf that outlives its CA is dead weight that looks alive.
    lifetimeMs: Math.min(LEAF_LIFETIME_MS, parent.notAfterMs - leaf.nowMs),
    extensions: [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
      { name: "extKeyUsage", ...leaf.usage },
      ...names,
    ],
  });
}

function sign(options: {
  commonName: string;
  publicKey: KeyObject;
  issuer: { commonName: string; privateKey: PrivateKey; keyId: string | undefined };
  nowMs: number;
  lifetimeMs: number;
  extensions: readonly object[];
}): Certificate {
  const { issuer } = options;
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forgePublicKey(options.publicKey);
  certificate.serialNumber = createSerialNumber();
  certificate.validity.notBefore = new Date(options.nowMs - BACKDATE_MS);
  certificate.validity.notAfter = new Date(options.nowMs + options.lifetimeMs);
  certificate.setSubject([{ name: "commonName", value: options.commonName }]);
  certificate.setIssuer([{ name: "commonName", value: issuer.commonName }]);
  // By its key id a parent is found even among several CAs of one name, as during a rotation.
  const own = {
    name: "subjectKeyIdentifier",
    subjectKeyIdentifier: keyIdentifier(options.publicKey),
  };
  const authorityKeyId = {
    name: "authorityKeyIdentifier",
    keyIdentifier: binary(issuer.keyId ?? ""),
  };
  certificate.setExtensions([
    ...options.extensions,
    own,
    ...(issuer.keyId === undefined ? [] : [authorityKeyId]),
  ]);
  certificate.sign(forgeSigner(issuer.privateKey), forge.md.sha256.create());
  return parseCertificate(forge.pki.certificateToPem(certificate), `"${options.commonName}"`);
}

/** Hexadecimal; RFC 5280 §4.2.1.2 leaves the method to the issuer. */
function keyIdentifier(publicKey: KeyObject): string {
  const fingerprint = forge.pki.getPublicKeyFingerprint(forgePublicKey(publicKey), {
    encoding: "hex",
  });
  return String(fingerprint);
}

/** 127 random bits: positive and not zero, as RFC 5280 §4.1.2.2 wants. */
function createSerialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function binary(hex: string): string {
  return forge.util.hexToBytes(hex);
}

function dnsName(value: string): object {
  return { type: 2, value };
}

function ipName(ip: string): object {
  return { type: 7, ip };
}

/** Whether the key belongs to the certificate. */
export function isKeyOf(privateKey: PrivateKey, { x509 }: Certificate): boolean {
  return x509.checkPrivateKey(privateKey.keyObject);
}
