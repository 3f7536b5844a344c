import { beforeAll, describe, expect, test } from "@jest/globals";
import {
  describeCertificate,
  formatDate,
  MAX_CERTIFICATES_PER_FILE,
  parseCertificate,
  parseCertificates,
} from "../../../pki/certificate.ts";
import { createCertificateAuthority, type CertificateAuthority } from "../../../pki/issue.ts";

let authority: CertificateAuthority;
let pem = "";

beforeAll(async () => {
  authority = await createCertificateAuthority("east", Date.UTC(2026, 0, 1));
  ({ pem } = authority.certificate);
});

describe("parseCertificates()", () => {
  test("reads all blocks in order and ignores text between them", () => {
    const parsed = parseCertificates(`subject=x\n${pem}\n# comment\n${pem}`, "bundle");
    expect(parsed.map(({ commonName }) => commonName)).toEqual([
      "tombolo-ca-east",
      "tombolo-ca-east",
    ]);
    expect(parsed[0]).toMatchObject({ isAuthority: true, issuerCommonName: "tombolo-ca-east" });
  });

  const refused: readonly [string, () => string, RegExp][] = [
    ["a cut block", () => pem.slice(0, 300), /a PEM block is cut off/],
    ["foreign characters", () => pem.replace("MII", "M!I"), /cut off or holds foreign/],
    [
      "a block that is no certificate",
      () => "-----BEGIN CERTIFICATE-----\naGFsbG8=\n-----END CERTIFICATE-----\n",
      /Cannot parse certificate 1 of bundle: no X.509 certificate/,
    ],
    ["too many", () => pem.repeat(MAX_CERTIFICATES_PER_FILE + 1), /want at most 32, got 33/],
  ];
  for (const [name, text, message] of refused) {
    test(`refuses ${name}`, () => {
      expect(() => parseCertificates(text(), "bundle")).toThrow(message);
    });
  }
});

describe("parseCertificate()", () => {
  test("wants exactly one", () => {
    expect(() => parseCertificate("", '"a.crt"')).toThrow(
      'Cannot parse certificate "a.crt": want one PEM certificate, got 0',
    );
    expect(() => parseCertificate(pem + pem, '"a.crt"')).toThrow("got 2");
  });
});

test("describeCertificate() names it so that a person can find it", () => {
  expect(describeCertificate(authority.certificate)).toMatch(
    /^"tombolo-ca-east" \(SHA-256 ([0-9A-F]{2}:){7}[0-9A-F]{2}…\)$/,
  );
});

test("formatDate() writes whole seconds in UTC", () => {
  expect(formatDate(Date.UTC(2026, 1, 3, 4, 5, 6))).toBe("2026-02-03T04:05:06Z");
});
