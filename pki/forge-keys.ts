// The one place where keys of node:crypto and objects of node-forge meet. Private keys do not
// cross: node-forge gets an object that signs, and the key stays inside OpenSSL.
import type { KeyObject } from "node:crypto";
import forge from "node-forge";
import type { PrivateKey } from "./private-key.ts";

/** What node-forge's `sign` methods really ask of a key: a PKCS #1 v1.5 signature of a digest. */
export function forgeSigner(privateKey: PrivateKey): forge.pki.rsa.PrivateKey {
  const signer = {
    sign: (digest: forge.md.MessageDigest): string =>
      privateKey.signDigest(Buffer.from(digest.digest().getBytes(), "binary")).toString("binary"),
  };
  return signer as unknown as forge.pki.rsa.PrivateKey;
}

export function forgePublicKey(publicKey: KeyObject): forge.pki.rsa.PublicKey {
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
  return forge.pki.publicKeyFromPem(pem) as forge.pki.rsa.PublicKey;
}
