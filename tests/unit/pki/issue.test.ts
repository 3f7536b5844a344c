import { beforeAll, describe, expect, test } from "@jest/globals";
import { meshServerName } from "../../../pki/common-names.ts";
import {
  BACKDATE_MS,
  CA_LIFETIME_MS,
  createCertificateAuthority,
  isKeyOf,
  issueAdmin,
  issueLocal,
  issueRemote,
  issueServer,
  LEAF_LIFETIME_MS,
  type CertificateAuthority,
} from "../../../pki/issue.ts";
import { generatePrivateKey } from "../../../pki/private-key.ts";
import { createSigningRequest } from "../../../pki/signing-request.ts";
import { verifyCertificate } from "../../../pki/verify.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
let authority: CertificateAuthority;

beforeAll(async () => {
  authority = await createCertificateAuthority("east", NOW_MS);
});

function bundle() {
  return { authorities: [authority.certificate] };
}

describe("createCertificateAuthority()", () => {
  test("makes a self-signed authority of ten years that signs leaves only", () => {
    const { certificate, privateKey } = authority;
    expect(certificate).toMatchObject({ isAuthority: true, commonName: "tombolo-ca-east" });
    expect(certificate.notBeforeMs).toBe(NOW_MS - BACKDATE_MS);
    expect(certificate.notAfterMs).toBe(NOW_MS + CA_LIFETIME_MS);
    expect(isKeyOf(privateKey, certificate)).toBe(true);
  });

  test("refuses a name that no cluster may have", async () => {
    await expect(createCertificateAuthority("East!", NOW_MS)).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });
});

describe("issueServer()", () => {
  test("stands for every name of reference §4.2, as server and as client", async () => {
    const { certificate, privateKey } = await issueServer(authority, NOW_MS);
    expect(certificate.commonName).toBe("clustermesh-apiserver.cilium.io");
    expect(isKeyOf(privateKey, certificate)).toBe(true);
    expect(certificate.notAfterMs).toBe(NOW_MS + LEAF_LIFETIME_MS);
    for (const serverName of [
      meshServerName("east"),
      "clustermesh-apiserver.kube-system.svc",
      "127.0.0.1",
      "::1",
    ]) {
      const options = { bundle: bundle(), nowMs: NOW_MS, serverName };
      expect(() => verifyCertificate(certificate, { ...options, usage: "server" })).not.toThrow();
      expect(() => verifyCertificate(certificate, { ...options, usage: "client" })).not.toThrow();
    }
  });
});

describe("client certificates", () => {
  test("issueAdmin() and issueLocal() carry the etcd user and cannot serve", async () => {
    const admin = await issueAdmin(authority, { cluster: "east", nowMs: NOW_MS });
    const local = await issueLocal(authority, { cluster: "east", nowMs: NOW_MS });
    expect(admin.certificate.commonName).toBe("admin-east");
    expect(local.certificate.commonName).toBe("local-east");
    const options = { bundle: bundle(), nowMs: NOW_MS, usage: "server" } as const;
    expect(() => verifyCertificate(admin.certificate, options)).toThrow(
      "its extended key usage does not allow a server",
    );
  });

  test("issueRemote() takes the key from the request and the name from the signer", async () => {
    const privateKey = await generatePrivateKey(2048);
    // Asks to be called "remote-north", and is not.
    const request = createSigningRequest("north", privateKey);
    const certificate = issueRemote(authority, { reader: "west", request, nowMs: NOW_MS });
    expect(certificate.commonName).toBe("remote-west");
    expect(isKeyOf(privateKey, certificate)).toBe(true);
  });

  test("no leaf outlives its authority", async () => {
    const late = NOW_MS + CA_LIFETIME_MS - 86_400_000;
    const { certificate } = await issueLocal(authority, { cluster: "east", nowMs: late });
    expect(certificate.notAfterMs).toBe(authority.certificate.notAfterMs);
  });

  test("serial numbers differ", async () => {
    const [a, b] = await Promise.all([
      issueLocal(authority, { cluster: "east", nowMs: NOW_MS }),
      issueLocal(authority, { cluster: "east", nowMs: NOW_MS }),
    ]);
    expect(a.certificate.x509.serialNumber).not.toBe(b.certificate.x509.serialNumber);
  });
});
