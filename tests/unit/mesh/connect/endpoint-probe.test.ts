import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createServer, type Server } from "node:https";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { probeEndpoint, type ProbeOptions } from "../../../../mesh/connect/endpoint-probe.ts";
import {
  createCertificateAuthority,
  issueAdmin,
  issueServer,
  type CertificateAuthority,
  type KeyedCertificate,
} from "../../../../pki/issue.ts";

const signal = new AbortController().signal;
let east: CertificateAuthority;
let west: CertificateAuthority;
let client: KeyedCertificate;
let server: Server;
let endpoint = "";
let date = new Date();
let sawClient: string | undefined;

beforeAll(async () => {
  const nowMs = Date.now();
  [east, west] = await Promise.all([
    createCertificateAuthority("east", nowMs),
    createCertificateAuthority("west", nowMs),
  ]);
  client = await issueAdmin(east, { cluster: "east", nowMs });
  const { certificate, privateKey } = await issueServer(east, nowMs);
  const options = {
    cert: certificate.pem,
    key: privateKey.encodePem(),
    ca: east.certificate.pem,
    requestCert: true,
  };
  server = createServer(options, (request, response) => {
    sawClient = request.url;
    response.setHeader("Date", date.toUTCString());
    response.end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}, 60_000);

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

function options(changes: Partial<ProbeOptions> = {}): ProbeOptions {
  return {
    endpoint,
    serverName: "east.mesh.cilium.io",
    bundle: { authorities: [east.certificate] },
    client,
    clock: systemClock,
    ...changes,
  };
}

describe("probeEndpoint()", () => {
  test("tells how far the other clock is ahead", async () => {
    date = new Date(Date.now() + 90_000);
    const { answer } = await probeEndpoint(options(), signal);
    expect(answer.kind).toBe("reachable");
    const offset = answer.kind === "reachable" ? answer.clockOffsetMs : undefined;
    expect(offset).toBeGreaterThan(80_000);
    expect(offset).toBeLessThan(100_000);
  });

  test("believes the endpoint's certificate without one of its own, and asks it nothing", async () => {
    sawClient = undefined;
    expect(await probeEndpoint(options({ client: undefined }), signal)).toEqual({
      endpoint,
      answer: { kind: "reachable", clockOffsetMs: undefined },
    });
    const bundle = { authorities: [west.certificate] };
    const { answer } = await probeEndpoint(options({ client: undefined, bundle }), signal);
    expect(answer.kind).toBe("untrusted");
    expect(sawClient).toBeUndefined();
  });

  test("trusts no other authority, says which rule, and asks it nothing", async () => {
    sawClient = undefined;
    const bundle = { authorities: [west.certificate] };
    expect(await probeEndpoint(options({ bundle }), signal)).toMatchObject({
      answer: {
        kind: "untrusted",
        reason: expect.stringContaining('its issuer "tombolo-ca-east" is not in the trust bundle'),
      },
    });
    expect(sawClient).toBeUndefined();
  });

  test("trusts no other name", async () => {
    expect(await probeEndpoint(options({ serverName: "a.example" }), signal)).toMatchObject({
      answer: { kind: "untrusted", reason: expect.stringContaining('not for "a.example"') },
    });
  });

  test("says why nobody answers", async () => {
    expect(await probeEndpoint(options({ endpoint: "https://127.0.0.1:1" }), signal)).toMatchObject(
      {
        answer: { kind: "unreachable", reason: expect.stringContaining("ECONNREFUSED") },
      },
    );
  });

  test("ends when it is aborted", async () => {
    const aborted = AbortSignal.abort();
    await expect(probeEndpoint(options(), aborted)).rejects.toMatchObject({ code: "aborted" });
  });
});
