// PKCS #10 signing requests: how a cluster asks a peer's authority for a client certificate
// without showing its private key.
import { createPublicKey, type KeyObject } from "node:crypto";
import forge from "node-forge";
import { MeshError } from "../mesh/core/errors.ts";
import { forgePublicKey, forgeSigner } from "./forge-keys.ts";
import { remoteCommonName } from "./common-names.ts";
import { LEAF_KEY_BITS, type PrivateKey } from "./private-key.ts";

/** A request whose signature proved that the asker holds the private key. */
export interface SigningRequest {
  readonly pem: string;
  readonly publicKey: KeyObject;
}

/** A request with a 4096-bit key has about 1.7 KiB; the rest is room for foreign attributes. */
export const SIGNING_REQUEST_MAX_BYTES = 8 * 1024;
/** Verifying with larger keys would let an asker spend our CPU. */
const RSA_MAX_BITS = 4096;

export function createSigningRequest(reader: string, privateKey: PrivateKey): SigningRequest {
  const publicKey = createPublicKey(privateKey.keyObject);
  const request = forge.pki.createCertificationRequest();
  request.publicKey = forgePublicKey(publicKey);
  request.setSubject([{ name: "commonName", value: remoteCommonName(reader) }]);
  request.sign(forgeSigner(privateKey), forge.md.sha256.create());
  return { pem: forge.pki.certificationRequestToPem(request), publicKey };
}

/** Throws `invalid_argument` for anything but a request that is signed by its own strong key. */
export function parseSigningRequest(pem: string): SigningRequest {
  if (pem.length > SIGNING_REQUEST_MAX_BYTES) {
    throw refusal(`it is longer than ${SIGNING_REQUEST_MAX_BYTES} bytes`);
  }
  const { publicKey, verified } = parseRequest(pem);
  const { modulusLength = 0 } = publicKey.asymmetricKeyDetails ?? {};
  if (modulusLength < LEAF_KEY_BITS || modulusLength > RSA_MAX_BITS) {
    throw refusal(
      `want an RSA key of ${LEAF_KEY_BITS} to ${RSA_MAX_BITS} bits, got ${modulusLength}`,
    );
  }
  if (!verified()) throw refusal("its signature was not made by its key");
  return { pem, publicKey };
}

function parseRequest(pem: string): { publicKey: KeyObject; verified: () => boolean } {
  try {
    const request = forge.pki.certificationRequestFromPem(pem);
    const key = request.publicKey as forge.pki.rsa.PublicKey;
    return {
      publicKey: createPublicKey(forge.pki.publicKeyToPem(key)),
      verified: () => verifies(request),
    };
  } catch (cause) {
    throw refusal("it is no PKCS #10 request with an RSA key in PEM", cause);
  }
}

function verifies(request: forge.pki.CertificateSigningRequest): boolean {
  try {
    return request.verify();
  } catch {
    return false; // node-forge throws where the signature does not even have the right form.
  }
}

function refusal(reason: string, cause?: unknown): MeshError {
  return new MeshError("invalid_argument", `Cannot accept signing request: ${reason}`, { cause });
}
