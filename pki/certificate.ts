// An X.509 certificate as an immutable value: parsed once by node:crypto, with the fields that
// the rest of the project asks for. It knows nothing about keys, trust or files.
import { X509Certificate } from "node:crypto";
import { MeshError } from "../mesh/core/errors.ts";

export interface Certificate {
  readonly pem: string;
  /** Empty if the subject has none. */
  readonly commonName: string;
  readonly issuerCommonName: string;
  readonly isAuthority: boolean;
  /** Upper-case hexadecimal SHA-256 of the DER, with colons. */
  readonly fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Object identifiers of the extended key usages; empty means unrestricted. */
  readonly usages: readonly string[];
  readonly x509: X509Certificate;
}

export const SERVER_AUTH_OID = "1.3.6.1.5.5.7.3.1";
export const CLIENT_AUTH_OID = "1.3.6.1.5.5.7.3.2";

/** No bundle or chain of this project has more; a peer's file must not make us parse for minutes. */
export const MAX_CERTIFICATES_PER_FILE = 32;

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Exactly one certificate; `name` says in messages which. Throws `invalid_argument`. */
export function parseCertificate(pem: string, name: string): Certificate {
  const certificates = parseCertificates(pem, name);
  const [certificate] = certificates;
  if (certificate === undefined || certificates.length > 1) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse certificate ${name}: want one PEM certificate, got ${certificates.length}`,
    );
  }
  return certificate;
}

/** All certificates of a PEM text, in order; text between the blocks is ignored as PEM allows. */
export function parseCertificates(pem: string, name: string): Certificate[] {
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length > MAX_CERTIFICATES_PER_FILE) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse certificates ${name}: want at most ${MAX_CERTIFICATES_PER_FILE}, got ${blocks.length}`,
    );
  }
  const begun = pem.split("-----BEGIN CERTIFICATE-----").length - 1;
  if (begun !== blocks.length) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse certificates ${name}: a PEM block is cut off or holds foreign characters`,
    );
  }
  return blocks.map((block, index) => parseBlock(block, { name, index }));
}

/** "remote-east (SHA-256 12:34:…)": how messages name a certificate. */
export function describeCertificate({ commonName, fingerprint }: Certificate): string {
  return `"${commonName}" (SHA-256 ${fingerprint.slice(0, 23)}…)`;
}

export function formatDate(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

function parseBlock(block: string, source: { name: string; index: number }): Certificate {
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(block);
  } catch (cause) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse certificate ${source.index + 1} of ${source.name}: no X.509 certificate`,
      { cause },
    );
  }
  return {
    pem: `${block}\n`,
    commonName: commonNameFromSubject(x509.subject),
    issuerCommonName: commonNameFromSubject(x509.issuer),
    isAuthority: x509.ca,
    fingerprint: x509.fingerprint256,
    notBeforeMs: Date.parse(x509.validFrom),
    notAfterMs: Date.parse(x509.validTo),
    usages: x509.keyUsage ?? [],
    x509,
  };
}

function commonNameFromSubject(subject: string | undefined): string {
  return /^CN=(.*)$/m.exec(subject ?? "")?.[1] ?? "";
}
