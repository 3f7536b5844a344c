import { beforeAll, describe, expect, test } from "@jest/globals";
import { planFiles, type KnownObjects } from "../../../../apiserver/objects/desired-files.ts";
import type { KnownKind } from "../../../../apiserver/objects/followed-kind.ts";
import type { PeerInstallation } from "../../../../mesh/connect/cluster-access.ts";
import {
  configMapFromReaders,
  secretFromAuthority,
  secretFromPeer,
  type ConfigMap,
  type Secret,
} from "../../../../mesh/connect/kubernetes-objects.ts";
import { encodeDrainFile } from "../../../../mesh/drain/drain-file.ts";
import { testDrain } from "../../../fakes/drains.ts";
import type { NodeObject } from "../../../../mesh/connect/kubernetes-profile.ts";
import type { ApiObject } from "../../../../mesh/kubernetes/watch-state.ts";
import {
  createCertificateAuthority,
  issueAdmin,
  type CertificateAuthority,
} from "../../../../pki/issue.ts";

const NOW = Date.UTC(2026, 0, 1);
const RUNNING = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
const PROFILE = {
  ...RUNNING,
  etcdEndpoints: ["https://192.0.2.1:32379"],
  joinEndpoint: "192.0.2.1:32381",
};

let authority: CertificateAuthority;
let west: PeerInstallation;

beforeAll(async () => {
  authority = await createCertificateAuthority("west", NOW);
  west = {
    name: "west",
    endpoints: ["https://192.0.2.2:32379"],
    bundle: { authorities: [authority.certificate] },
    client: await issueAdmin(authority, { cluster: "west", nowMs: NOW }),
  };
}, 60_000);

function kind<T extends ApiObject>(objects: readonly T[], whole = true): KnownKind<T> {
  return {
    whole,
    all: () => objects,
    find: (name) => objects.find(({ metadata }) => metadata.name === name),
  };
}

function known(objects: {
  secrets?: KnownKind<Secret>;
  configMaps?: KnownKind<ConfigMap>;
  nodes?: KnownKind<NodeObject>;
}): KnownObjects {
  return {
    secrets: objects.secrets ?? kind<Secret>([]),
    configMaps: objects.configMaps ?? kind([cluster(PROFILE)]),
    nodes: objects.nodes ?? kind<NodeObject>([]),
  };
}

const cluster = (profile: object): ConfigMap => ({
  kind: "ConfigMap",
  metadata: { name: "tombolo-cluster", namespace: "mesh" },
  data: { "cluster.json": JSON.stringify(profile) },
});

const peerSecret = (): Secret => secretFromPeer(west, "mesh");
const withData = (data: Record<string, string>): Secret => {
  const secret = peerSecret();
  return { ...secret, data: { ...secret.data, ...data } };
};
const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("planFiles()", () => {
  test("makes files of objects that are in order", () => {
    const desired = planFiles(
      known({
        secrets: kind([
          peerSecret(),
          secretFromAuthority({ authority, bundle: west.bundle }, "mesh"),
        ]),
        configMaps: kind([cluster(PROFILE), configMapFromReaders(["west"], "mesh")]),
      }),
      RUNNING,
    );
    expect(desired.problems).toEqual([]);
    expect(desired.profile).toEqual(PROFILE);
    expect(desired.readers).toContain("remote-west");
    expect(desired.peersWhole).toBe(true);
    expect(desired.authorityMissing).toBe(false);
    expect(desired.authority?.authority.certificate.pem).toBe(authority.certificate.pem);
    const peer = desired.peers.get("west");
    expect(peer).toMatchObject({ kind: "installed", peer: { endpoints: west.endpoints } });
  });

  test("before the lists are whole, nothing is missing", () => {
    const desired = planFiles(
      known({ secrets: kind<Secret>([], false), configMaps: kind<ConfigMap>([], false) }),
      RUNNING,
    );
    expect(desired).toEqual({
      profile: undefined,
      authority: undefined,
      authorityMissing: false,
      readers: undefined,
      peers: new Map(),
      peersWhole: false,
      problems: [],
    });
  });

  test("after that, it is: no readers, an authority to put back, and a profile to ask for", () => {
    const desired = planFiles(known({ configMaps: kind<ConfigMap>([]) }), RUNNING);
    expect(desired.readers).toBe("users: []\n");
    expect(desired.authorityMissing).toBe(true);
    expect(desired.profile).toBeUndefined();
    expect(desired.problems).toMatchObject([{ name: "tombolo-cluster", object: undefined }]);
  });

  const label = (value: string): Secret => {
    const secret = peerSecret();
    return { ...secret, metadata: { ...secret.metadata, labels: { "tombolo.io/peer": value } } };
  };
  const unlabelled = (): Secret => {
    const { labels: _, ...metadata } = peerSecret().metadata;
    return { ...peerSecret(), metadata };
  };
  const other = (): Secret["data"] =>
    secretFromAuthority({ authority, bundle: west.bundle }, "mesh").data;
  test.each<[string, () => Secret, string]>([
    ["a key is missing", () => ({ ...peerSecret(), data: {} }), "it is missing"],
    ["an endpoint is no URL", () => withData({ endpoints: base64("192.0.2.2") }), "want 1 to"],
    ["an endpoint is not https", () => withData({ endpoints: base64("http://a:1") }), "https"],
    ["there is no endpoint", () => withData({ endpoints: base64("\n") }), "0 lines"],
    ["a certificate is none", () => withData({ "tls.crt": base64("x") }), "tls.crt"],
    ["the bundle is none", () => withData({ "ca.crt": base64("x") }), "ca.crt"],
    [
      "the key is another's",
      () => withData({ "tls.key": other()?.["ca.key"] ?? "" }),
      "not the key",
    ],
    ["the label is another's", () => label("north"), '"north"'],
    ["the label is missing", unlabelled, "label"],
    ["it is too large", () => withData({ more: "A".repeat(300_000) }), "at most"],
  ])("a peer stays configured when %s", (_, make, reason) => {
    const { peers, problems, peersWhole } = planFiles(known({ secrets: kind([make()]) }), RUNNING);
    expect(peers.get("west")?.kind).toBe("unusable");
    expect(peersWhole).toBe(true);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ kind: "Secret", name: "tombolo-peer-west" });
    expect(problems[0]?.message).toContain(reason);
  });

  test("a labelled Secret of another name is a problem and no peer", () => {
    const secret = peerSecret();
    const renamed = { ...secret, metadata: { ...secret.metadata, name: "west" } };
    const { peers, problems } = planFiles(known({ secrets: kind([renamed]) }), RUNNING);
    expect([...peers]).toEqual([]);
    expect(problems.map(({ name }) => name)).toEqual(["west"]);
  });

  test("no message holds a key", () => {
    const key = base64("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
    const { problems } = planFiles(
      known({ secrets: kind([withData({ "tls.key": key })]) }),
      RUNNING,
    );
    expect(problems[0]?.message).toContain("tls.key");
    expect(problems[0]?.message).not.toContain("c2VjcmV0");
  });

  test.each([
    [{ ...PROFILE, name: "north" }, "Cannot change name"],
    [{ ...PROFILE, id: 2 }, "Cannot change id"],
    [{ ...PROFILE, maxConnectedClusters: 511 }, "Cannot change maxConnectedClusters"],
    [{ id: 1 }, "cluster name"],
  ])("refuses profile %j", (profile, reason) => {
    const desired = planFiles(known({ configMaps: kind([cluster(profile)]) }), RUNNING);
    expect(desired.profile).toBeUndefined();
    expect(desired.problems[0]?.message).toContain(reason);
  });

  test("finds endpoints at the nodes, once all of them are known", () => {
    const node: NodeObject = {
      metadata: { name: "n1" },
      status: { addresses: [{ type: "InternalIP", address: "fd00::7" }] },
    };
    const configMaps = kind([cluster(RUNNING)]);
    const early = planFiles(known({ configMaps, nodes: kind([node], false) }), RUNNING);
    expect(early.profile).toBeUndefined();
    expect(early.problems).toEqual([]);
    const { profile } = planFiles(known({ configMaps, nodes: kind([node]) }), RUNNING);
    expect(profile).toMatchObject({
      etcdEndpoints: ["https://[fd00::7]:32379"],
      joinEndpoint: "[fd00::7]:32381",
    });
  });

  test("drains are those of their ConfigMap, none without one, and stay while it is broken", () => {
    const metadata = { name: "tombolo-operations" };
    const plan = (objects: readonly ConfigMap[]) =>
      planFiles(known({ configMaps: kind(objects) }), RUNNING);
    expect(JSON.parse(plan([]).drains ?? "")).toEqual({ version: 1, drains: [] });
    const text = encodeDrainFile([testDrain()]);
    expect(plan([{ metadata, data: { "drains.json": text } }]).drains).toBe(text);
    const broken = plan([{ metadata, data: { "drains.json": "{" } }]);
    expect(broken.drains).toBeUndefined();
    expect(broken.problems).toContainEqual(
      expect.objectContaining({ kind: "ConfigMap", name: "tombolo-operations" }),
    );
  });

  test("readers stay when their ConfigMap has no such key, or one that cannot be read", () => {
    for (const data of [{}, { "remote-users.yaml": "users: 7" }]) {
      const broken: ConfigMap = { metadata: { name: "tombolo-readers" }, data };
      const desired = planFiles(known({ configMaps: kind([cluster(PROFILE), broken]) }), RUNNING);
      expect(desired.readers).toBeUndefined();
      expect(desired.problems).toMatchObject([{ kind: "ConfigMap", name: "tombolo-readers" }]);
    }
  });

  test("an authority that cannot be used is named and not missing", () => {
    const broken: Secret = { kind: "Secret", metadata: { name: "tombolo-ca" }, data: {} };
    const desired = planFiles(known({ secrets: kind([broken]) }), RUNNING);
    expect(desired.authority).toBeUndefined();
    expect(desired.authorityMissing).toBe(false);
    expect(desired.problems[0]?.name).toBe("tombolo-ca");
  });
});
