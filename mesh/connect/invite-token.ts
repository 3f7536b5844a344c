// The token that `mesh invite` prints: everything a foreign cluster needs to join, as one word.
// The codec tells a token that was cut off from one that was changed, and both from no token.
//
//   tmb1.<base64url of body ‖ first 8 bytes of SHA-256(body)>
//
//   body: length u16 │ expiry (s) u32 │ cluster id u16 │ 511-wide u8 │ name │ endpoints u8, …
//         │ CA fingerprint 32 │ invite id 8 │ secret 16          (name, endpoint: length u8 + text)
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { parseClusterId, parseClusterName, type ClusterIdentity } from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";

const VERSION_PREFIX = "tmb1.";
const CHECKSUM_BYTES = 8;
const FINGERPRINT_BYTES = 32;
export const INVITE_ID_BYTES = 8;
/** 128 bits: guessing is hopeless, with or without the server's limits. */
export const INVITE_SECRET_BYTES = 16;
/** A cluster has one join endpoint or a few; a token must stay short enough to paste. */
export const MAX_JOIN_ENDPOINTS = 8;
/** Far above the largest token; what is longer was never one. */
const MAX_TOKEN_LENGTH = 4_096;

const PLACEHOLDER = "[invite secret]";

/** The proof that its holder was invited. Printing or serialising it yields a placeholder. */
export class InviteSecret {
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
  }

  /** For the token and the wire, and for nothing else. */
  get bytes(): Buffer {
    return Buffer.from(this.#bytes);
  }

  /** Hexadecimal SHA-256: what the inviter keeps. The secret is random, so a plain hash is safe. */
  get hash(): string {
    return createHash("sha256").update(this.#bytes).digest("hex");
  }

  /** Takes the same time wherever the hashes differ. */
  matchesHash(hash: string): boolean {
    const [own, other] = [Buffer.from(this.hash, "hex"), Buffer.from(hash, "hex")];
    return own.length === other.length && timingSafeEqual(own, other);
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
}

export interface InviteToken {
  /** The cluster that invites. */
  readonly cluster: ClusterIdentity;
  /** `ADDRESS:PORT` of its join API. */
  readonly joinEndpoints: readonly string[];
  /** Upper-case hexadecimal SHA-256 with colons, of its CA certificate. */
  readonly caFingerprint: string;
  /** Hexadecimal. */
  readonly inviteId: string;
  readonly secret: InviteSecret;
  /** Whole seconds. */
  readonly expiresAtMs: number;
}

export function createInviteSecret(): InviteSecret {
  return new InviteSecret(randomBytes(INVITE_SECRET_BYTES));
}

export function encodeInviteToken(token: InviteToken): string {
  const { cluster } = token;
  const rest = Buffer.concat([
    number(Math.floor(token.expiresAtMs / 1000), 4),
    number(cluster.id, 2),
    number(cluster.maxConnectedClusters === 511 ? 1 : 0, 1),
    text(cluster.name),
    number(token.joinEndpoints.length, 1),
    ...token.joinEndpoints.map(text),
    Buffer.from(token.caFingerprint.replaceAll(":", ""), "hex"),
    Buffer.from(token.inviteId, "hex"),
    token.secret.bytes,
  ]);
  const body = Buffer.concat([number(rest.length + 2, 2), rest]);
  return VERSION_PREFIX + Buffer.concat([body, checksum(body)]).toString("base64url");
}

/** Throws `invalid_argument` that says what is wrong with the token, never what is in it. */
export function parseInviteToken(input: string): InviteToken {
  const body = parseBody(input.trim());
  const reader = createReader(body.subarray(2));
  const expiresAtMs = reader.number(4) * 1000;
  const id = reader.number(2);
  const maxConnectedClusters = reader.number(1) === 1 ? 511 : 255;
  const name = reader.text();
  const count = reader.number(1);
  if (count === 0 || count > MAX_JOIN_ENDPOINTS) throw refusal("it names no way to the cluster");
  const joinEndpoints = Array.from({ length: count }, () => reader.text());
  const fingerprint = reader.bytes(FINGERPRINT_BYTES).toString("hex").toUpperCase();
  return {
    cluster: {
      name: parseClusterName(name),
      id: parseClusterId(id, maxConnectedClusters),
      maxConnectedClusters,
    },
    joinEndpoints,
    caFingerprint: fingerprint.match(/../g)?.join(":") ?? "",
    inviteId: reader.bytes(INVITE_ID_BYTES).toString("hex"),
    secret: new InviteSecret(reader.bytes(INVITE_SECRET_BYTES)),
    expiresAtMs,
  };
}

function parseBody(token: string): Buffer {
  if (!/^tmb\d+\./.test(token) || token.length > MAX_TOKEN_LENGTH) {
    throw refusal(`it is no invitation; one begins with "${VERSION_PREFIX}"`);
  }
  if (!token.startsWith(VERSION_PREFIX)) {
    throw refusal(`it was made by a newer version, which writes "${token.split(".")[0]}" tokens`);
  }
  const encoded = token.slice(VERSION_PREFIX.length);
  const foreign = /[^A-Za-z0-9_-]/.exec(encoded);
  if (foreign !== null) {
    const position = VERSION_PREFIX.length + foreign.index + 1;
    throw refusal(`it was changed: character ${position} cannot be in a token`);
  }
  const bytes = Buffer.from(encoded, "base64url");
  const wanted = bytes.length < 2 ? Infinity : bytes.readUInt16BE(0) + CHECKSUM_BYTES;
  if (bytes.length < wanted) throw refusal("it was cut off: its end is missing");
  if (bytes.length > wanted) throw refusal("it was changed: something was added to it");
  const body = bytes.subarray(0, -CHECKSUM_BYTES);
  const intact =
    checksum(body).equals(bytes.subarray(-CHECKSUM_BYTES)) &&
    bytes.toString("base64url") === encoded;
  if (!intact) throw refusal("it was changed: its checksum does not fit");
  return body;
}

interface FieldReader {
  number(bytes: number): number;
  text(): string;
  bytes(length: number): Buffer;
}

function createReader(body: Buffer): FieldReader {
  let offset = 0;
  const bytes = (length: number): Buffer => {
    if (offset + length > body.length) throw refusal("it is not complete");
    offset += length;
    return body.subarray(offset - length, offset);
  };
  return {
    bytes,
    number: (length) => bytes(length).readUIntBE(0, length),
    text: () => bytes(bytes(1).readUInt8(0)).toString("utf8"),
  };
}

function number(value: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  buffer.writeUIntBE(value, 0, length);
  return buffer;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([number(bytes.length, 1), bytes]);
}

function checksum(body: Buffer): Buffer {
  return createHash("sha256").update(body).digest().subarray(0, CHECKSUM_BYTES);
}

function refusal(reason: string): MeshError {
  return new MeshError("invalid_argument", `Cannot use the token: ${reason}`, {
    hint: "ask for a new one: `mesh invite` in the other cluster",
  });
}
