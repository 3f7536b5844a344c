// Certificates as files for those who take nothing else: in a directory of our own that is gone
// before the work's result is out.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PUBLIC_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { encodeBundle, type TrustBundle } from "../../pki/bundle.ts";
import { writeKeyedCertificate } from "../../pki/files.ts";
import type { KeyedCertificate } from "../../pki/issue.ts";
import type { TlsFiles } from "../kvstore/tls.ts";

export async function withTlsFiles<T>(
  { bundle, client }: { readonly bundle: TrustBundle; readonly client: KeyedCertificate },
  work: (files: TlsFiles) => Promise<T>,
): Promise<T> {
  // For its owner only, as mkdtemp makes it.
  const directory = await mkdtemp(join(tmpdir(), "tombolo-connect-"));
  const files: TlsFiles = {
    caFile: join(directory, "ca.crt"),
    certFile: join(directory, "admin.crt"),
    keyFile: join(directory, "admin.key"),
  };
  try {
    await writeKeyedCertificate(client, {
      certificatePath: files.certFile,
      keyPath: files.keyFile,
    });
    await writeFileAtomic(files.caFile, encodeBundle(bundle), { mode: PUBLIC_FILE_MODE });
    return await work(files);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
