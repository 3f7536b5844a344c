import { expect, test } from "@jest/globals";
import { createJoinClient } from "../../../../mesh/api/join-client.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { createCertificateAuthority } from "../../../../pki/issue.ts";

test("createJoinClient() rejects when nobody answers, and when it is aborted", async () => {
  const { certificate } = await createCertificateAuthority("west", Date.now());
  const client = createJoinClient({
    endpoint: "127.0.0.1:1",
    trustBundle: certificate.pem,
    serverName: "west.mesh.cilium.io",
    clock: systemClock,
  });
  const never = new AbortController().signal;
  await expect(client.check({ credential: null }, never)).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining('Cannot reach "127.0.0.1:1"'),
  });
  await expect(client.check({ credential: null }, AbortSignal.abort())).rejects.toMatchObject({
    code: "aborted",
  });
  client.close();
});
