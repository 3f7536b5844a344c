// A cluster's certificates on disk: the layout of `pki/` in a cluster directory, reading it, and
// making what is missing. Keys are 0600; every file is replaced whole.
//
//   ca.crt ca.key        the authority; the key is used only to sign
//   ca-bundle.crt        whom this cluster's servers believe; more than ca.crt during a rotation
//   {server,admin,local}.{crt,key}
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isMeshError, MeshError } from "../mesh/core/errors.ts";
import { PUBLIC_FILE_MODE, SECRET_FILE_MODE, writeFileAtomic } from "./atomic-file.ts";
import {
  encodeBundle,
  mergeBundles,
  parseBundle,
  withoutExpired,
  type TrustBundle,
} from "./bundle.ts";
import { parseCertificate } from "./certificate.ts";
import {
  adminCommonName,
  meshServerName,
  SERVER_COMMON_NAME,
  localCommonName,
} from "./common-names.ts";
import {
  createCertificateAuthority,
  isKeyOf,
  issueAdmin,
  issueLocal,
  issueServer,
  LEAF_LIFETIME_MS,
  type CertificateAuthority,
  type KeyedCertificate,
} from "./issue.ts";
import { parsePrivateKey } from "./private-key.ts";
import { verifyCertificate } from "./verify.ts";

export interface PkiPaths {
  readonly caCertificate: string;
  readonly caKey: string;
  readonly caBundle: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
  readonly adminCertificate: string;
  readonly adminKey: string;
  readonly localCertificate: string;
  readonly localKey: string;
}

/** A leaf is replaced when less than this is left, so that nobody meets an expired one. */
export const RENEW_BEFORE_MS = LEAF_LIFETIME_MS / 3;

export function pkiPaths(directory: string): PkiPaths {
  return {
    caCertificate: join(directory, "ca.crt"),
    caKey: join(directory, "ca.key"),
    caBundle: join(directory, "ca-bundle.crt"),
    serverCertificate: join(directory, "server.crt"),
    serverKey: join(directory, "server.key"),
    adminCertificate: join(directory, "admin.crt"),
    adminKey: join(directory, "admin.key"),
    localCertificate: join(directory, "local.crt"),
    localKey: join(directory, "local.key"),
  };
}

/**
 * Makes `directory` hold a complete and valid set of certificates for `cluster`: what is missing,
 * broken or about to expire is made anew, the rest is left untouched. A CA that is there but
 * unusable is an error and never replaced: every peer trusts it.
 */
export async function initialisePki(
  directory: string,
  options: { cluster: string; nowMs: number },
): Promise<PkiPaths> {
  const { cluster, nowMs } = options;
  const paths = pkiPaths(directory);
  const authority = await ensureAuthority(paths, options);
  const bundle = await ensureBundle(paths, { authority, nowMs });
  const leaves: readonly LeafKind[] = [
    {
      certificatePath: paths.serverCertificate,
      keyPath: paths.serverKey,
      verify: {
        usage: "server",
        commonName: SERVER_COMMON_NAME,
        serverName: meshServerName(cluster),
      },
      issue: () => issueServer(authority, nowMs),
    },
    {
      certificatePath: paths.adminCertificate,
      keyPath: paths.adminKey,
      verify: { usage: "client", commonName: adminCommonName(cluster) },
      issue: () => issueAdmin(authority, options),
    },
    {
      certificatePath: paths.localCertificate,
      keyPath: paths.localKey,
      verify: { usage: "client", commonName: localCommonName(cluster) },
      issue: () => issueLocal(authority, options),
    },
  ];
  await Promise.all(leaves.map((leaf) => ensureLeaf(leaf, { bundle, nowMs })));
  return paths;
}

/** Throws `not_found` or `invalid_argument` naming the file. */
export async function readAuthority(directory: string): Promise<CertificateAuthority> {
  const paths = pkiPaths(directory);
  return readKeyedCertificate(paths.caCertificate, paths.caKey);
}

export async function readBundle(path: string): Promise<TrustBundle> {
  return parseBundle(await readText(path), `"${path}"`);
}

/** Throws `invalid_argument` also for a key that is not the certificate's. */
export async function readKeyedCertificate(
  certificatePath: string,
  keyPath: string,
): Promise<KeyedCertificate> {
  const certificate = parseCertificate(await readText(certificatePath), `"${certificatePath}"`);
  const privateKey = parsePrivateKey(await readText(keyPath), `"${keyPath}"`);
  if (!isKeyOf(privateKey, certificate)) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use key "${keyPath}": it is not the key of "${certificatePath}"`,
    );
  }
  return { certificate, privateKey };
}

/** The key goes first: a certificate without its key would be taken for a complete pair. */
export async function writeKeyedCertificate(
  pair: KeyedCertificate,
  paths: { certificatePath: string; keyPath: string },
): Promise<void> {
  await writeFileAtomic(paths.keyPath, pair.privateKey.encodePem(), { mode: SECRET_FILE_MODE });
  await writeFileAtomic(paths.certificatePath, pair.certificate.pem, { mode: PUBLIC_FILE_MODE });
}

interface LeafKind {
  readonly certificatePath: string;
  readonly keyPath: string;
  readonly verify: {
    readonly usage: "server" | "client";
    readonly commonName: string;
    readonly serverName?: string;
  };
  readonly issue: () => Promise<KeyedCertificate>;
}

async function ensureAuthority(
  paths: PkiPaths,
  options: { cluster: string; nowMs: number },
): Promise<CertificateAuthority> {
  const { cluster, nowMs } = options;
  // A key alone is an unfinished start: its certificate is written after it. A certificate alone
  // has lost its key, which the reading below reports.
  if (await isMissing(paths.caCertificate)) {
    const authority = await createCertificateAuthority(cluster, nowMs);
    await writeKeyedCertificate(authority, {
      certificatePath: paths.caCertificate,
      keyPath: paths.caKey,
    });
    return authority;
  }
  const authority = await readKeyedCertificate(paths.caCertificate, paths.caKey);
  if (authority.certificate.notAfterMs <= nowMs) {
    throw new MeshError(
      "conflict",
      `Cannot use certificate authority "${paths.caCertificate}": it expired on ${new Date(authority.certificate.notAfterMs).toISOString()}`,
      {
        hint: "peers trust it by its fingerprint, so it is not replaced on its own; remove pki/ca.crt and pki/ca.key, then connect the cluster to its peers again",
      },
    );
  }
  return authority;
}

async function ensureBundle(
  paths: PkiPaths,
  options: { authority: CertificateAuthority; nowMs: number },
): Promise<TrustBundle> {
  const own: TrustBundle = { authorities: [options.authority.certificate] };
  const current = (await isMissing(paths.caBundle)) ? undefined : await readBundle(paths.caBundle);
  const wanted = withoutExpired(mergeBundles([own, ...(current ? [current] : [])]), options.nowMs);
  if (current === undefined || encodeBundle(current) !== encodeBundle(wanted)) {
    await writeFileAtomic(paths.caBundle, encodeBundle(wanted), { mode: PUBLIC_FILE_MODE });
  }
  return wanted;
}

async function ensureLeaf(
  leaf: LeafKind,
  options: { bundle: TrustBundle; nowMs: number },
): Promise<void> {
  try {
    const pair = await readKeyedCertificate(leaf.certificatePath, leaf.keyPath);
    verifyCertificate(pair.certificate, { ...options, ...leaf.verify });
    if (pair.certificate.notAfterMs - options.nowMs > RENEW_BEFORE_MS) return;
  } catch (error) {
    // Missing, broken, expired or foreign: all are cured by a new one. Anything else is not ours.
    const curable = ["not_found", "invalid_argument", "unauthenticated"] as const;
    if (!curable.some((code) => isMeshError(error, code))) throw error;
  }
  await writeKeyedCertificate(await leaf.issue(), leaf);
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await readText(path);
    return false;
  } catch (error) {
    if (isMeshError(error, "not_found")) return true;
    throw error;
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new MeshError(missing ? "not_found" : "internal", `Cannot read "${path}"`, { cause });
  }
}
