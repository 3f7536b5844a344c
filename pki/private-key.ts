// A private key as a value that does not leak: printing, inspecting, serialising or interpolating
// it yields a placeholder. The only ways out are `encodePem`, for the key file, and signing.
import {
  constants,
  createPrivateKey,
  generateKeyPair,
  privateEncrypt,
  type KeyObject,
} from "node:crypto";
import { promisify } from "node:util";
import { MeshError } from "../mesh/core/errors.ts";

/**
 * RSA, because node-forge signs with nothing else and every TLS stack verifies it. 2048 bits are
 * acceptable until 2030 (NIST SP 800-57) for certificates that live three years at most.
 */
export const LEAF_KEY_BITS = 2048;
/** 128-bit strength: the CA outlives its certificates by years. */
export const CA_KEY_BITS = 3072;

const PLACEHOLDER = "[private key]";
/** DER of DigestInfo for SHA-256 up to the digest itself (RFC 8017, section 9.2, note 1). */
const SHA256_DIGEST_INFO = Buffer.from("3031300d060960864801650304020105000420", "hex");
const generateKeyPairAsync = promisify(generateKeyPair);

export class PrivateKey {
  readonly #key: KeyObject;

  constructor(key: KeyObject) {
    this.#key = key;
  }

  /** PKCS #8 PEM, for a file of mode 0600 or a TLS context, and for nothing else. */
  encodePem(): string {
    return this.#key.export({ type: "pkcs8", format: "pem" }).toString();
  }

  /** RSASSA-PKCS1-v1_5 over a SHA-256 digest. */
  signDigest(digest: Uint8Array): Buffer {
    return privateEncrypt(
      { key: this.#key, padding: constants.RSA_PKCS1_PADDING },
      Buffer.concat([SHA256_DIGEST_INFO, digest]),
    );
  }

  /** For comparing with a certificate's public key. */
  get keyObject(): KeyObject {
    return this.#key;
  }

  toString(): string {
    return PLACEHOLDER;
  }

  toJSON(): string {
    return PLACEHOLDER;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return PLACEHOLDER;
  }

  [Symbol.toPrimitive](): string {
    return PLACEHOLDER;
  }
}

/** Runs on libuv's threads: making a key takes up to a second and must not stall the process. */
export async function generatePrivateKey(bits: number): Promise<PrivateKey> {
  const { privateKey } = await generateKeyPairAsync("rsa", { modulusLength: bits });
  return new PrivateKey(privateKey);
}

/** `name` only appears in messages; the text never does. Throws `invalid_argument`. */
export function parsePrivateKey(pem: string, name: string): PrivateKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The cause is dropped on purpose: an error about a key must not be able to quote it.
    throw new MeshError("invalid_argument", `Cannot parse private key ${name}: no PEM private key`);
  }
  if (key.asymmetricKeyType !== "rsa") {
    throw new MeshError(
      "invalid_argument",
      `Cannot use private key ${name}: want RSA, got ${key.asymmetricKeyType}`,
    );
  }
  return new PrivateKey(key);
}
