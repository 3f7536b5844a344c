import { beforeAll, describe, expect, test } from "@jest/globals";
import {
  bundleFingerprints,
  bundlesIntersect,
  encodeBundle,
  mergeBundles,
  parseBundle,
  withoutExpired,
} from "../../../pki/bundle.ts";
import { createCertificateAuthority, issueLocal } from "../../../pki/issue.ts";
import type { CertificateAuthority } from "../../../pki/issue.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const YEAR_MS = 365 * 86_400_000;
let old: CertificateAuthority;
let current: CertificateAuthority;

beforeAll(async () => {
  [old, current] = await Promise.all([
    createCertificateAuthority("east", NOW_MS - 9 * YEAR_MS),
    createCertificateAuthority("east", NOW_MS),
  ]);
});

describe("parseBundle()", () => {
  test("keeps the order and drops duplicates", () => {
    const text = old.certificate.pem + current.certificate.pem + old.certificate.pem;
    const bundle = parseBundle(text, "b");
    expect(bundle.authorities.map(({ fingerprint }) => fingerprint)).toEqual([
      old.certificate.fingerprint,
      current.certificate.fingerprint,
    ]);
    expect(parseBundle(encodeBundle(bundle), "b")).toMatchObject({
      authorities: [{ commonName: "tombolo-ca-east" }, { commonName: "tombolo-ca-east" }],
    });
  });

  test("refuses a certificate that is no authority, and an empty bundle", async () => {
    const { certificate } = await issueLocal(current, { cluster: "east", nowMs: NOW_MS });
    expect(() => parseBundle(current.certificate.pem + certificate.pem, '"x"')).toThrow(
      /Cannot parse trust bundle "x": "local-east" \(.*\) is not a certificate authority/,
    );
    expect(() => parseBundle("", '"x"')).toThrow("it holds no certificate");
  });
});

test("withoutExpired() drops what is over", () => {
  const both = mergeBundles([
    { authorities: [old.certificate] },
    { authorities: [current.certificate] },
  ]);
  expect(withoutExpired(both, NOW_MS).authorities).toHaveLength(2);
  const later = withoutExpired(both, NOW_MS + 2 * YEAR_MS);
  expect(bundleFingerprints(later)).toEqual([current.certificate.fingerprint]);
});

test("bundlesIntersect() compares fingerprints, not names", () => {
  const [a, b] = [{ authorities: [old.certificate] }, { authorities: [current.certificate] }];
  expect(bundlesIntersect(a, b)).toBe(false);
  expect(bundlesIntersect(mergeBundles([a, b]), b)).toBe(true);
});
