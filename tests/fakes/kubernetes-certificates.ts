// An authority for client certificates that a test's API server believes, and an administrator's
// certificate signed by it.
import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";

export interface ClientAuthority {
  readonly certificate: string;
  /** A member of the group that may do everything. */
  issueAdministrator(): { readonly certificate: string; readonly privateKey: string };
}

const DAY_MS = 86_400_000;

export function createClientAuthority(nowMs: number): ClientAuthority {
  const subject = [{ name: "commonName", value: "test-clients" }];
  const { publicKey, privateKey } = keyPair();
  const own = certificate({ subject, issuer: subject, publicKey: publicKey, nowMs });
  own.setExtensions([{ name: "basicConstraints", cA: true, critical: true }]);
  own.sign(privateKey, forge.md.sha256.create());
  return {
    certificate: forge.pki.certificateToPem(own),
    issueAdministrator() {
      const keys = keyPair();
      const administrator = [
        { name: "commonName", value: "test-administrator" },
        { name: "organizationName", value: "system:masters" },
      ];
      const leaf = certificate({
        subject: administrator,
        issuer: subject,
        publicKey: keys.publicKey,
        nowMs,
      });
      leaf.setExtensions([{ name: "extKeyUsage", clientAuth: true }]);
      leaf.sign(privateKey, forge.md.sha256.create());
      return {
        certificate: forge.pki.certificateToPem(leaf),
        privateKey: forge.pki.privateKeyToPem(keys.privateKey),
      };
    },
  };
}

function certificate(options: {
  subject: forge.pki.CertificateField[];
  issuer: forge.pki.CertificateField[];
  publicKey: forge.pki.PublicKey;
  nowMs: number;
}): forge.pki.Certificate {
  const made = forge.pki.createCertificate();
  made.publicKey = options.publicKey;
  made.serialNumber = "01";
  made.validity.notBefore = new Date(options.nowMs - DAY_MS);
  made.validity.notAfter = new Date(options.nowMs + DAY_MS);
  made.setSubject(options.subject);
  made.setIssuer(options.issuer);
  return made;
}

/** OpenSSL makes keys a hundred times faster than the library does. */
function keyPair(): forge.pki.rsa.KeyPair {
  const pem = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  return {
    publicKey: forge.pki.publicKeyFromPem(pem.publicKey),
    privateKey: forge.pki.privateKeyFromPem(pem.privateKey),
  };
}
