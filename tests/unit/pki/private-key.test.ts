import { beforeAll, describe, expect, test } from "@jest/globals";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { createJsonLogger } from "../../../mesh/core/logger.ts";
import { MeshError, messageFromError } from "../../../mesh/core/errors.ts";
import { generatePrivateKey, parsePrivateKey, type PrivateKey } from "../../../pki/private-key.ts";

let key: PrivateKey;

beforeAll(async () => {
  key = await generatePrivateKey(2048);
});

/** Any line of the PEM, or its body as one, gives the key away. */
function expectNoKey(text: string): void {
  expect(text).not.toContain("PRIVATE KEY-----");
  for (const line of key.encodePem().split("\n").slice(1, -2)) expect(text).not.toContain(line);
}

describe("PrivateKey", () => {
  const leaks: readonly [string, () => string][] = [
    ["toString()", () => String(key)],
    ["a template", () => `${key as unknown as string}`],
    ["concatenation", () => "key: " + (key as unknown as string)],
    ["JSON", () => JSON.stringify({ key })],
    ["inspect()", () => inspect({ nested: [key] }, { depth: 10, showHidden: true })],
    ["an error", () => messageFromError(new MeshError("internal", `Cannot use ${String(key)}`))],
    [
      "enumeration",
      () => JSON.stringify(Object.entries(key)) + JSON.stringify(Object.assign({}, key)),
    ],
  ];
  for (const [name, print] of leaks) {
    test(`does not leak through ${name}`, () => {
      expectNoKey(print());
    });
  }

  test("does not leak through a log", () => {
    let written = "";
    const log = createJsonLogger({ write: (line) => (written += line), nowMs: () => 0 });
    log.error("key trouble", { key, error: new Error("broken", { cause: key }) });
    expectNoKey(written);
  });

  test("signs a digest as OpenSSL verifies it", () => {
    const text = Buffer.from("to be signed");
    const signature = key.signDigest(createHash("sha256").update(text).digest());
    expect(verify("sha256", text, createPublicKey(key.keyObject), signature)).toBe(true);
  });
});

describe("parsePrivateKey()", () => {
  test("reads what encodePem() wrote", () => {
    expect(parsePrivateKey(key.encodePem(), "k").keyObject.equals(key.keyObject)).toBe(true);
  });

  test("says which key is broken without quoting it", () => {
    const cut = key.encodePem().slice(0, 400);
    let message = "";
    try {
      parsePrivateKey(cut, '"ca.key"');
    } catch (error) {
      message = messageFromError(error);
    }
    expect(message).toBe('Cannot parse private key "ca.key": no PEM private key');
    expectNoKey(message);
  });

  test("refuses keys that node-forge cannot sign with", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect(() => parsePrivateKey(pem, '"x"')).toThrow(
      'Cannot use private key "x": want RSA, got ec',
    );
  });
});
