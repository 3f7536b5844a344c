// A trust bundle: the authorities whose certificates are believed. It holds more than one while
// an authority is being replaced. Immutable; order is kept, duplicates are not.
import { MeshError } from "../mesh/core/errors.ts";
import { describeCertificate, parseCertificates, type Certificate } from "./certificate.ts";

export interface TrustBundle {
  readonly authorities: readonly Certificate[];
}

/** `name` says in messages which bundle. Throws `invalid_argument` if one is no authority. */
export function parseBundle(pem: string, name: string): TrustBundle {
  const authorities = parseCertificates(pem, name);
  if (authorities.length === 0) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse trust bundle ${name}: it holds no certificate`,
    );
  }
  const other = authorities.find(({ isAuthority }) => !isAuthority);
  if (other !== undefined) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse trust bundle ${name}: ${describeCertificate(other)} is not a certificate authority`,
    );
  }
  return mergeBundles([{ authorities }]);
}

export function encodeBundle({ authorities }: TrustBundle): string {
  return authorities.map(({ pem }) => pem).join("");
}

export function mergeBundles(bundles: readonly TrustBundle[]): TrustBundle {
  const byFingerprint = new Map<string, Certificate>();
  for (const authority of bundles.flatMap(({ authorities }) => authorities)) {
    if (!byFingerprint.has(authority.fingerprint)) {
      byFingerprint.set(authority.fingerprint, authority);
    }
  }
  return { authorities: [...byFingerprint.values()] };
}

/** The authorities that are still valid at `nowMs`. */
export function withoutExpired(bundle: TrustBundle, nowMs: number): TrustBundle {
  return { authorities: bundle.authorities.filter(({ notAfterMs }) => notAfterMs > nowMs) };
}

/** Fingerprints in sorted order: equal exactly for bundles that trust the same authorities. */
export function bundleFingerprints({ authorities }: TrustBundle): string[] {
  return authorities.map(({ fingerprint }) => fingerprint).sort();
}

/** Whether the bundles have an authority in common. */
export function bundlesIntersect(a: TrustBundle, b: TrustBundle): boolean {
  const known = new Set(bundleFingerprints(a));
  return bundleFingerprints(b).some((fingerprint) => known.has(fingerprint));
}
