import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:tls";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { fetchPinnedAuthority } from "../../../../mesh/connect/pinned-authority.ts";
import {
  createCertificateAuthority,
  issueServer,
  type CertificateAuthority,
} from "../../../../pki/issue.ts";

const signal = new AbortController().signal;
let west: CertificateAuthority;
let stranger: CertificateAuthority;
const servers: Server[] = [];

beforeAll(async () => {
  [west, stranger] = await Promise.all([
    createCertificateAuthority("west", Date.now()),
    createCertificateAuthority("west", Date.now()),
  ]);
}, 60_000);

afterAll(async () => {
  for (const server of servers) {
    server.close();
    await once(server, "close");
  }
});

/** Serves a leaf of `signer`, and shows `shown` as its authority. */
async function serve(signer: CertificateAuthority, shown: CertificateAuthority): Promise<string> {
  const { certificate, privateKey } = await issueServer(signer, Date.now());
  const cert = certificate.pem + shown.certificate.pem;
  const server = createServer({ cert, key: privateKey.encodePem(), ALPNProtocols: ["h2"] });
  servers.push(server);
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function pin(endpoint: string) {
  const caFingerprint = west.certificate.fingerprint;
  const serverName = "west.mesh.cilium.io";
  return fetchPinnedAuthority({ endpoint, serverName, caFingerprint, clock: systemClock }, signal);
}

describe("fetchPinnedAuthority()", () => {
  test("returns the authority whose fingerprint was asked for", async () => {
    const bundle = await pin(await serve(west, west));
    expect(bundle.authorities.map(({ fingerprint }) => fingerprint)).toEqual([
      west.certificate.fingerprint,
    ]);
  });

  test("believes no other authority of the same name", async () => {
    await expect(pin(await serve(stranger, stranger))).rejects.toMatchObject({
      code: "unauthenticated",
      message: expect.stringContaining("does not show the certificate authority"),
    });
  });

  test("does not believe a leaf that only stands beside the right authority", async () => {
    await expect(pin(await serve(stranger, west))).rejects.toMatchObject({
      code: "unauthenticated",
    });
  });

  test("says that nobody answers", async () => {
    await expect(pin("127.0.0.1:1")).rejects.toMatchObject({
      code: "unavailable",
      message: 'Cannot reach "127.0.0.1:1"',
    });
  });
});
