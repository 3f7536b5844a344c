import { expect, test } from "@jest/globals";
import { createPublicKey, verify } from "node:crypto";
import forge from "node-forge";
import { forgePublicKey, forgeSigner } from "../../../pki/forge-keys.ts";
import { generatePrivateKey } from "../../../pki/private-key.ts";

test("forgeSigner() signs inside OpenSSL what node-forge digested", async () => {
  const key = await generatePrivateKey(2048);
  const digest = forge.md.sha256.create().update("hello");
  const signer = forgeSigner(key) as unknown as { sign(digest: unknown): string };
  const signature = Buffer.from(signer.sign(digest), "binary");
  expect(verify("sha256", Buffer.from("hello"), createPublicKey(key.keyObject), signature)).toBe(
    true,
  );
});

test("forgePublicKey() is the same key", async () => {
  const publicKey = createPublicKey((await generatePrivateKey(2048)).keyObject);
  const pem = forge.pki.publicKeyToPem(forgePublicKey(publicKey));
  expect(createPublicKey(pem).equals(publicKey)).toBe(true);
});
