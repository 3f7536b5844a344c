import { afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  followBundle,
  prepareAuthority,
  restoreAuthority,
} from "../../../../apiserver/objects/authority.ts";
import {
  authorityFromSecret,
  secretFromAuthority,
  type ClusterAuthority,
  type Secret,
} from "../../../../mesh/connect/kubernetes-objects.ts";
import { isMeshError } from "../../../../mesh/core/errors.ts";
import { bundleFingerprints } from "../../../../pki/bundle.ts";
import { initialisePki, pkiPaths, readAuthority, readBundle } from "../../../../pki/files.ts";
import { createCertificateAuthority, issueLocal } from "../../../../pki/issue.ts";
import { createFakeTransport, type FakeTransport } from "../../../fakes/kubernetes-transport.ts";

const never = new AbortController().signal;
const NOW = Date.UTC(2026, 0, 1);
const SECRETS = "/api/v1/namespaces/mesh/secrets";

let first: ClusterAuthority;
let second: ClusterAuthority;
let pki: string;
let transport: FakeTransport;

beforeAll(async () => {
  [first, second] = (await Promise.all(["east", "east"].map(makeAuthority))) as [
    ClusterAuthority,
    ClusterAuthority,
  ];
}, 60_000);

beforeEach(async () => {
  pki = await mkdtemp(join(tmpdir(), "tombolo-authority-"));
  transport = createFakeTransport();
});

afterEach(() => rm(pki, { recursive: true, force: true }));

async function makeAuthority(name: string): Promise<ClusterAuthority> {
  const authority = await createCertificateAuthority(name, NOW);
  return { authority, bundle: { authorities: [authority.certificate] } };
}

const options = () => ({
  transport,
  namespace: "mesh",
  cluster: "east",
  pki,
  nowMs: () => NOW,
});
const prepare = (): Promise<void> => prepareAuthority(options(), never);
const fingerprint = async (): Promise<string> => (await readAuthority(pki)).certificate.fingerprint;
const objectOf = (authority: ClusterAuthority): Secret => secretFromAuthority(authority, "mesh");

describe("prepareAuthority()", () => {
  test("makes an authority and its Secret where there is none", async () => {
    transport.answer(404, {});
    transport.answer(201, objectOf(first));
    await prepare();
    const [read, create] = transport.requests;
    expect(read?.path).toBe(`${SECRETS}/tombolo-ca`);
    expect(create).toMatchObject({ method: "POST", path: SECRETS });
    const published = authorityFromSecret(create?.body as Secret);
    expect(published.authority.certificate.fingerprint).toBe(await fingerprint());
  });

  test("refuses an authority that was made for a cluster of another name", async () => {
    transport.answer(200, objectOf(await makeAuthority("north")));
    await expect(prepare()).rejects.toMatchObject({
      code: "invalid_argument",
      message:
        'Cannot run cluster "east": the certificate in Secret "tombolo-ca" is that of cluster "north"',
    });
    expect(await readdir(pki)).toEqual([]);
  });

  test("takes the other's where somebody was faster", async () => {
    transport.answer(404, {});
    transport.answer(409, {});
    transport.answer(200, objectOf(first));
    transport.answer(404, {});
    await prepare();
    expect(await fingerprint()).toBe(first.authority.certificate.fingerprint);
  });

  test("takes the Secret's, with all that its bundle trusts, and makes whole leaves of it", async () => {
    const bundle = { authorities: [...first.bundle.authorities, ...second.bundle.authorities] };
    transport.answer(200, objectOf({ ...first, bundle }));
    transport.answer(404, {});
    await prepare();
    const paths = await initialisePki(pki, { cluster: "east", nowMs: NOW });
    expect(await fingerprint()).toBe(first.authority.certificate.fingerprint);
    expect(bundleFingerprints(await readBundle(paths.caBundle))).toEqual(
      bundleFingerprints(bundle),
    );
    expect((await stat(paths.caKey)).mode & 0o777).toBe(0o600);
  });

  test("gives agents the certificate that they have", async () => {
    const local = await issueLocal(first.authority, { cluster: "east", nowMs: NOW });
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    transport.answer(200, objectOf(first));
    transport.answer(200, {
      metadata: { name: "tombolo-agent" },
      data: {
        "local.crt": base64(local.certificate.pem),
        "local.key": base64(local.privateKey.encodePem()),
      },
    });
    await prepare();
    const { localCertificate } = await initialisePki(pki, { cluster: "east", nowMs: NOW });
    expect((await readBundle(pkiPaths(pki).caBundle)).authorities).toHaveLength(1);
    expect(await readFile(localCertificate, "utf8")).toBe(local.certificate.pem);
  });

  test("refuses a broken Secret and writes nothing", async () => {
    const broken = { ...objectOf(first), data: { ...objectOf(first).data, "ca.key": "AAAA" } };
    transport.answer(200, broken);
    const error: unknown = await prepare().catch((reason: unknown) => reason);
    expect(isMeshError(error, "invalid_argument")).toBe(true);
    expect(String(error)).toContain('"ca.key" of Secret');
    expect(await readdir(pki)).toEqual([]);
  });

  test("puts a Secret that has gone back from the directory", async () => {
    await initialisePki(pki, { cluster: "east", nowMs: NOW });
    const before = await fingerprint();
    transport.answer(404, {});
    transport.answer(201, objectOf(first));
    await prepare();
    const published = authorityFromSecret(transport.requests[1]?.body as Secret);
    expect(published.authority.certificate.fingerprint).toBe(before);
    expect(await fingerprint()).toBe(before);
  });
});

describe("restoreAuthority()", () => {
  test("writes what the directory has, and nothing of an empty one", async () => {
    await restoreAuthority(options(), never);
    expect(transport.requests).toEqual([]);
    await initialisePki(pki, { cluster: "east", nowMs: NOW });
    transport.answer(409, {});
    await restoreAuthority(options(), never);
    expect(transport.requests).toMatchObject([{ method: "POST", path: SECRETS }]);
  });
});

describe("followBundle()", () => {
  beforeEach(async () => {
    transport.answer(200, objectOf(first));
    transport.answer(404, {});
    await prepare();
  });

  const follow = (authority: ClusterAuthority): Promise<boolean> =>
    followBundle({ pki, nowMs: () => NOW }, authority);

  test("takes a bundle that grows and shrinks, and leaves one that is the same", async () => {
    const bundle = { authorities: [...second.bundle.authorities, ...first.bundle.authorities] };
    expect(await follow(first)).toBe(false);
    expect(await follow({ ...first, bundle })).toBe(true);
    expect(await follow({ ...first, bundle })).toBe(false);
    // What pki/files.ts makes of it is the same, or the two would write in turns.
    const { mtimeMs } = await stat(pkiPaths(pki).caBundle);
    await initialisePki(pki, { cluster: "east", nowMs: NOW });
    expect((await stat(pkiPaths(pki).caBundle)).mtimeMs).toBe(mtimeMs);
    expect(await follow(first)).toBe(true);
  });

  test("our own authority stays trusted, whatever the bundle says", async () => {
    await follow({ ...first, bundle: second.bundle });
    const { authorities } = await readBundle(pkiPaths(pki).caBundle);
    expect(authorities).toHaveLength(2);
  });

  test("refuses another authority", async () => {
    const error: unknown = await follow(second).catch((reason: unknown) => reason);
    expect(isMeshError(error, "conflict")).toBe(true);
    expect(await fingerprint()).toBe(first.authority.certificate.fingerprint);
  });

  test("sets a damaged file right", async () => {
    await writeFile(pkiPaths(pki).caBundle, "damaged");
    expect(await follow(first)).toBe(true);
  });
});
