// The client's certificate files: read together, and told apart by content, so that a rotation
// is noticed whatever way the files were replaced. Making certificates is pki's job.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { MeshError } from "../core/errors.ts";

export interface TlsFiles {
  /** PEM, one or more certificates. */
  readonly caFile: string;
  readonly certFile: string;
  /** PEM. Its content never leaves the connection. */
  readonly keyFile: string;
}

export interface TlsMaterial {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Differs whenever one of the files does. */
  readonly fingerprint: string;
}

export async function readTlsFiles(files: TlsFiles): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all([
    readPem(files.caFile),
    readPem(files.certFile),
    readPem(files.keyFile),
  ]);
  try {
    createSecureContext({ ca, cert, key });
  } catch (error) {
    // Half a rotation looks like this, too: the key of the next certificate with the present one.
    throw new MeshError(
      "unavailable",
      `Cannot use certificate "${files.certFile}" with its key and CA`,
      { cause: error },
    );
  }
  const hash = createHash("sha256");
  for (const part of [ca, cert, key]) hash.update(String(part.length)).update(part);
  return { ca, cert, key, fingerprint: hash.digest("hex") };
}

async function readPem(path: string): Promise<Buffer> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (error) {
    throw new MeshError("unavailable", `Cannot read TLS file "${path}"`, { cause: error });
  }
  // Half a rotation looks like this; the next attempt finds the whole file.
  if (!content.includes("-----END "))
    throw new MeshError(
      "unavailable",
      `Cannot use TLS file "${path}": it holds no whole PEM block`,
    );
  return content;
}
