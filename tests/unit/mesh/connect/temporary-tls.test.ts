import { expect, test } from "@jest/globals";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { withTlsFiles } from "../../../../mesh/connect/temporary-tls.ts";
import { createCertificateAuthority } from "../../../../pki/issue.ts";

test("withTlsFiles() lends files that only we can read, and leaves none", async () => {
  const client = await createCertificateAuthority("east", Date.now());
  const bundle = { authorities: [client.certificate] };
  let directory = "";
  const failing = withTlsFiles({ bundle, client }, async ({ caFile, certFile, keyFile }) => {
    directory = dirname(keyFile);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    expect(await readFile(caFile, "utf8")).toBe(client.certificate.pem);
    expect(await readFile(certFile, "utf8")).toBe(client.certificate.pem);
    throw new Error("the work failed");
  });
  await expect(failing).rejects.toThrow("the work failed");
  await expect(stat(directory)).rejects.toMatchObject({ code: "ENOENT" });
});
