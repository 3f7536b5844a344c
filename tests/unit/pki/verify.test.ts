import { beforeAll, describe, expect, test } from "@jest/globals";
import {
  createCertificateAuthority,
  issueAdmin,
  issueServer,
  LEAF_LIFETIME_MS,
  type CertificateAuthority,
  type KeyedCertificate,
} from "../../../pki/issue.ts";
import { verifyCertificate, type VerifyOptions } from "../../../pki/verify.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
let east: CertificateAuthority;
let impostor: CertificateAuthority;
let server: KeyedCertificate;
let admin: KeyedCertificate;

beforeAll(async () => {
  [east, impostor] = await Promise.all([
    createCertificateAuthority("east", NOW_MS),
    createCertificateAuthority("east", NOW_MS),
  ]);
  server = await issueServer(east, NOW_MS);
  admin = await issueAdmin(east, { cluster: "east", nowMs: NOW_MS });
});

function options(changes: Partial<VerifyOptions> = {}): VerifyOptions {
  return {
    bundle: { authorities: [east.certificate] },
    nowMs: NOW_MS,
    usage: "server",
    serverName: "east.mesh.cilium.io",
    ...changes,
  };
}

describe("verifyCertificate()", () => {
  test("believes a good certificate, also with two authorities of one name", () => {
    const bundle = { authorities: [impostor.certificate, east.certificate] };
    expect(() => verifyCertificate(server.certificate, options({ bundle }))).not.toThrow();
  });

  const cases: readonly [string, () => [KeyedCertificate, Partial<VerifyOptions>], RegExp][] = [
    [
      "an expired one, with both dates",
      () => [server, { nowMs: NOW_MS + LEAF_LIFETIME_MS + 1000 }],
      /"clustermesh-apiserver.cilium.io" \(.*\): it expired on 2028-12-31T00:00:00Z; it is now 2028-12-31T00:00:01Z$/,
    ],
    [
      "one from the future",
      () => [server, { nowMs: NOW_MS - 3_600_000 }],
      /it is valid only from 2025-12-31T23:55:00Z; it is now 2025-12-31T23:00:00Z$/,
    ],
    [
      "an authority of the same name with another key",
      () => [server, { bundle: { authorities: [impostor.certificate] } }],
      /its (signature was not made by|issuer) "tombolo-ca-east"/,
    ],
    [
      "an empty bundle",
      () => [server, { bundle: { authorities: [] } }],
      /its issuer "tombolo-ca-east" is not in the trust bundle, which trusts nobody$/,
    ],
    [
      "another name",
      () => [server, { serverName: "west.example.org" }],
      /it is not for "west.example.org"; its names are: .*DNS:\*\.mesh\.cilium\.io/,
    ],
    ["another address", () => [server, { serverName: "10.0.0.1" }], /it is not for "10.0.0.1"/],
    ["the wrong use", () => [admin, {}], /its extended key usage does not allow a server$/],
    [
      "the wrong user",
      () => [admin, { usage: "client", commonName: "admin-west" }],
      /want common name "admin-west"$/,
    ],
    ["an authority as a leaf", () => [east, {}], /it is a certificate authority itself$/],
  ];
  for (const [name, arrange, message] of cases) {
    test(`refuses ${name}`, () => {
      const [{ certificate }, changes] = arrange();
      const { serverName, ...rest } = options(changes);
      const wanted = changes.usage === "client" ? rest : { ...rest, serverName: serverName ?? "" };
      expect(() => verifyCertificate(certificate, wanted)).toThrow(message);
      try {
        verifyCertificate(certificate, wanted);
      } catch (error) {
        expect(error).toMatchObject({ code: "unauthenticated" });
      }
    });
  }
});
