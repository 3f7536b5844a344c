import { beforeAll, describe, expect, test } from "@jest/globals";
import { createPublicKey } from "node:crypto";
import forge from "node-forge";
import { generatePrivateKey, type PrivateKey } from "../../../pki/private-key.ts";
import {
  createSigningRequest,
  parseSigningRequest,
  SIGNING_REQUEST_MAX_BYTES,
} from "../../../pki/signing-request.ts";

let key: PrivateKey;
let pem = "";

beforeAll(async () => {
  key = await generatePrivateKey(2048);
  ({ pem } = createSigningRequest("west", key));
});

describe("parseSigningRequest()", () => {
  test("reads what createSigningRequest() made", () => {
    const { publicKey } = parseSigningRequest(pem);
    expect(publicKey.equals(createPublicKey(key.keyObject))).toBe(true);
  });

  const refused: readonly [string, () => string, string][] = [
    ["anything else", () => "hello", "it is no PKCS #10 request with an RSA key in PEM"],
    ["nothing", () => "", "it is no PKCS #10 request"],
    [
      "what is too long to be one",
      () => "x".repeat(SIGNING_REQUEST_MAX_BYTES + 1),
      "it is longer than 8192 bytes",
    ],
    ["another subject under an old signature", () => renamed(pem), "its signature was not made"],
  ];
  for (const [name, text, message] of refused) {
    test(`refuses ${name}`, () => {
      expect(() => parseSigningRequest(text())).toThrow(
        `Cannot accept signing request: ${message}`,
      );
    });
  }

  test("refuses a weak key", async () => {
    const weak = createSigningRequest("west", await generatePrivateKey(1024));
    expect(() => parseSigningRequest(weak.pem)).toThrow("want an RSA key of 2048 to 4096 bits");
  });
});

function renamed(text: string): string {
  const message = forge.pem.decode(text)[0];
  const bytes = (message?.body ?? "").replace("remote-west", "remote-east");
  return forge.pem.encode({ type: "CERTIFICATE REQUEST", body: bytes } as forge.pem.ObjectPEM);
}
