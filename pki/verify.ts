// Whether a certificate may be believed, and if not: which certificate, which rule, which date.
import { isIP } from "node:net";
import { MeshError } from "../mesh/core/errors.ts";
import type { TrustBundle } from "./bundle.ts";
import {
  CLIENT_AUTH_OID,
  describeCertificate,
  formatDate,
  SERVER_AUTH_OID,
  type Certificate,
} from "./certificate.ts";

export interface VerifyOptions {
  readonly bundle: TrustBundle;
  readonly nowMs: number;
  readonly usage: "server" | "client";
  /** The DNS name or address that the certificate must stand for (servers). */
  readonly serverName?: string;
  /** The exact common name (clients: the etcd user). */
  readonly commonName?: string;
}

/** Throws `unauthenticated`; the checks run from the most telling to the least. */
export function verifyCertificate(certificate: Certificate, options: VerifyOptions): void {
  const authority = findAuthority(certificate, options.bundle);
  for (const link of [certificate, authority]) verifyPeriod(link, options.nowMs);
  if (certificate.isAuthority) throw refusal(certificate, "it is a certificate authority itself");
  verifyUsage(certificate, options.usage);
  const { commonName, serverName } = options;
  if (commonName !== undefined && certificate.commonName !== commonName) {
    throw refusal(certificate, `want common name "${commonName}"`);
  }
  if (serverName !== undefined && !standsFor(certificate, serverName)) {
    const names = certificate.x509.subjectAltName ?? "none";
    throw refusal(certificate, `it is not for "${serverName}"; its names are: ${names}`);
  }
}

function findAuthority(certificate: Certificate, { authorities }: TrustBundle): Certificate {
  const named = authorities.filter(({ x509 }) => certificate.x509.checkIssued(x509));
  const signer = named.find(({ x509 }) => certificate.x509.verify(x509.publicKey));
  if (signer !== undefined) return signer;
  if (named.length > 0) {
    throw refusal(
      certificate,
      `its signature was not made by ${named.map(describeCertificate).join(" or ")}`,
    );
  }
  const trusted = authorities.map(describeCertificate).join(", ") || "nobody";
  throw refusal(
    certificate,
    `its issuer "${certificate.issuerCommonName}" is not in the trust bundle, which trusts ${trusted}`,
  );
}

function verifyPeriod(certificate: Certificate, nowMs: number): void {
  if (nowMs > certificate.notAfterMs) {
    throw refusal(
      certificate,
      `it expired on ${formatDate(certificate.notAfterMs)}; it is now ${formatDate(nowMs)}`,
    );
  }
  if (nowMs < certificate.notBeforeMs) {
    throw refusal(
      certificate,
      `it is valid only from ${formatDate(certificate.notBeforeMs)}; it is now ${formatDate(nowMs)}`,
    );
  }
}

function verifyUsage({ usages, ...certificate }: Certificate, usage: "server" | "client"): void {
  const wanted = usage === "server" ? SERVER_AUTH_OID : CLIENT_AUTH_OID;
  if (usages.length > 0 && !usages.includes(wanted)) {
    throw refusal({ usages, ...certificate }, `its extended key usage does not allow a ${usage}`);
  }
}

function standsFor({ x509 }: Certificate, serverName: string): boolean {
  const match = isIP(serverName) > 0 ? x509.checkIP(serverName) : x509.checkHost(serverName);
  return match !== undefined;
}

function refusal(certificate: Certificate, rule: string): MeshError {
  return new MeshError(
    "unauthenticated",
    `Cannot trust certificate ${describeCertificate(certificate)}: ${rule}`,
  );
}
