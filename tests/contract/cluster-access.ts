// What every way in to a cluster must do, whatever the cluster keeps its connections in: a function
// that declares the tests, called once for each implementation.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { ClusterAccess, PeerInstallation } from "../../mesh/connect/cluster-access.ts";
import { createCertificateAuthority, issueRemote } from "../../pki/issue.ts";
import { generatePrivateKey, LEAF_KEY_BITS } from "../../pki/private-key.ts";
import { createSigningRequest } from "../../pki/signing-request.ts";
import { bundleFingerprints } from "../../pki/bundle.ts";

export interface AccessSetup {
  /** To cluster "east", id 1, whose etcd and apiserver are not there. */
  readonly access: ClusterAccess;
  /** Another way in to the same cluster, as another process has it. */
  readonly other: ClusterAccess;
  /** Everything that is kept of connections, comparable. */
  contents(): Promise<unknown>;
  /** Puts something of somebody else's beside what connecting writes for west. */
  mark(): Promise<void>;
  /** Removes everything of all connections. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

const signal = new AbortController().signal;
const LIMIT_MS = 300_000;

export function describeClusterAccess(name: string, open: () => Promise<AccessSetup>): void {
  describe(`${name} as cluster access`, () => {
    let setup: AccessSetup;
    let west: PeerInstallation;
    let renewed: PeerInstallation;

    beforeAll(async () => {
      setup = await open();
      [west, renewed] = await createInstallations();
    }, LIMIT_MS);

    beforeEach(() => setup.empty());

    afterAll(() => setup.close(), LIMIT_MS);

    const facts = () => setup.access.readFacts(signal);

    test("tells the profile, and in its facts what is wrong instead of failing", async () => {
      expect(await setup.access.readProfile()).toMatchObject({ name: "east", id: 1 });
      const found = await facts();
      expect(found).toMatchObject({
        profile: { name: "east", id: 1 },
        endpoints: [{ answer: { kind: "unreachable" } }],
        apiserverProblem: expect.any(String),
        advertised: undefined,
        prefixes: [],
        peers: [],
        readers: [],
      });
      expect(found.bundle.authorities).toHaveLength(1);
    });

    test("admits and expels readers, each as often as one likes", async () => {
      await setup.access.admitReader("west");
      await setup.access.admitReader("north");
      const before = await setup.contents();
      await setup.access.admitReader("west");
      expect(await setup.contents()).toEqual(before);
      expect((await facts()).readers).toEqual(["west", "north"]);
      expect(await setup.access.knowsPeer("north")).toBe(true);
      await setup.access.expelReader("west");
      await setup.access.expelReader("west");
      expect((await facts()).readers).toEqual(["north"]);
      expect(await setup.access.knowsPeer("west")).toBe(false);
    });

    test("admits two readers at the same time through two doors", async () => {
      // One lock covers both; without it a directory's file would have one writer only.
      const unlock = await setup.access.lock();
      await setup.access.admitReader("west");
      await unlock();
      const again = await setup.other.lock();
      await setup.other.admitReader("north");
      await again();
      expect((await facts()).readers).toEqual(["west", "north"]);
    });

    test("installs a peer, replaces it and removes it", async () => {
      await setup.access.installPeer(west);
      await setup.access.installPeer(renewed);
      const [peer, ...others] = (await facts()).peers;
      expect(others).toEqual([]);
      expect(peer).toMatchObject({
        name: "west",
        endpoints: renewed.endpoints,
        problem: undefined,
      });
      expect(peer?.client?.pem).toBe(renewed.client.certificate.pem);
      expect(peer?.bundle && bundleFingerprints(peer.bundle)).toEqual(
        bundleFingerprints(renewed.bundle),
      );
      expect(await setup.access.knowsPeer("west")).toBe(true);
      await setup.access.removePeer("west");
      await setup.access.removePeer("west");
      expect((await facts()).peers).toEqual([]);
      expect(await setup.access.knowsPeer("west")).toBe(false);
    });

    test("puts back nothing where there was nothing", async () => {
      const before = await setup.contents();
      const restore = await setup.access.rememberPeer("west");
      await setup.access.admitReader("west");
      await setup.access.installPeer(west);
      await restore();
      expect(await setup.contents()).toEqual(before);
      await restore();
      expect(await setup.contents()).toEqual(before);
    });

    test("puts back byte for byte what was changed, what others had put there too", async () => {
      await setup.access.admitReader("north");
      await setup.access.installPeer(west);
      await setup.mark();
      const before = await setup.contents();
      const restore = await setup.access.rememberPeer("west");
      await setup.access.admitReader("west");
      await setup.access.installPeer(renewed);
      expect(await setup.contents()).not.toEqual(before);
      await restore();
      expect(await setup.contents()).toEqual(before);
    });

    test("puts back what was removed", async () => {
      await setup.access.admitReader("west");
      await setup.access.installPeer(west);
      await setup.mark();
      const before = await setup.contents();
      const restore = await setup.access.rememberPeer("west");
      await setup.access.removePeer("west");
      await setup.access.expelReader("west");
      await restore();
      expect(await setup.contents()).toEqual(before);
    });

    test("is locked by one at a time, and says by whom", async () => {
      const unlock = await setup.access.lock();
      await expect(setup.other.lock()).rejects.toMatchObject({
        code: "conflict",
        message: expect.stringMatching(new RegExp(`\\bprocess ${process.pid}\\b`)),
      });
      await unlock();
      await (
        await setup.other.lock()
      )();
    });

    test("signs for whom it is told, not for whom the request names", async () => {
      const request = createSigningRequest("north", await generatePrivateKey(LEAF_KEY_BITS));
      const signed = await setup.access.signReader("west", request);
      expect(signed.commonName).toBe("remote-west");
    });
  });
}

/** East's installation of west, twice: with two keys and two sets of endpoints. */
async function createInstallations(): Promise<[PeerInstallation, PeerInstallation]> {
  const authority = await createCertificateAuthority("west", Date.now());
  const install = async (endpoints: readonly string[]): Promise<PeerInstallation> => {
    const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
    const request = createSigningRequest("east", privateKey);
    const certificate = issueRemote(authority, { reader: "east", request, nowMs: Date.now() });
    const bundle = { authorities: [authority.certificate] };
    return { name: "west", endpoints, bundle, client: { certificate, privateKey } };
  };
  return [
    await install(["https://10.2.0.1:32379"]),
    await install(["https://10.2.0.1:32379", "https://10.2.0.2:32379"]),
  ];
}
