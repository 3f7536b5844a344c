import { beforeAll, describe, expect, test } from "@jest/globals";
import { createCertificateAuthority, issueLocal } from "../../../../pki/issue.ts";
import type { PeerInstallation } from "../../../../mesh/connect/cluster-access.ts";
import type { Invite } from "../../../../mesh/connect/invite-store.ts";
import {
  authorityFromSecret,
  configMapFromReaders,
  installedPeerFromSecret,
  invitesFromSecret,
  peerFromSecret,
  readersFromConfigMap,
  secretFromAuthority,
  secretFromInvites,
  secretFromPeer,
  type ClusterAuthority,
  type Secret,
} from "../../../../mesh/connect/kubernetes-objects.ts";

const NOW_MS = Date.UTC(2030, 0, 1);
let cluster: ClusterAuthority;
let peer: PeerInstallation;

beforeAll(async () => {
  const authority = await createCertificateAuthority("west", NOW_MS);
  const bundle = { authorities: [authority.certificate] };
  cluster = { authority, bundle };
  const client = await issueLocal(authority, { cluster: "west", nowMs: NOW_MS });
  peer = { name: "west", endpoints: ["https://10.0.0.1:32379", "https://lb:1"], bundle, client };
});

/** The Secret with one key's text replaced, or removed. */
function withKey(secret: Secret, key: string, text?: string): Secret {
  const data = { ...secret.data };
  if (text === undefined) delete data[key];
  else data[key] = Buffer.from(text).toString("base64");
  return { ...secret, data };
}

describe("a peer's Secret", () => {
  test("has the documented form", () => {
    const secret = secretFromPeer(peer, "ns");
    expect(secret.metadata).toEqual({
      name: "tombolo-peer-west",
      namespace: "ns",
      labels: { "tombolo.io/peer": "west" },
    });
    expect(Object.keys(secret.data ?? {})).toEqual(["endpoints", "ca.crt", "tls.crt", "tls.key"]);
    const endpoints = Buffer.from(secret.data?.["endpoints"] ?? "", "base64").toString();
    expect(endpoints).toBe("https://10.0.0.1:32379\nhttps://lb:1\n");
  });

  test("comes back as the peer that it was made from", () => {
    const read = peerFromSecret(secretFromPeer(peer, "ns"));
    expect(read.name).toBe("west");
    expect(read.endpoints).toEqual(peer.endpoints);
    expect(read.bundle.authorities[0]?.pem).toBe(peer.bundle.authorities[0]?.pem);
    expect(read.client.certificate.pem).toBe(peer.client.certificate.pem);
    expect(read.client.privateKey.encodePem()).toBe(peer.client.privateKey.encodePem());
    const installed = installedPeerFromSecret(secretFromPeer(peer, "ns"));
    expect(installed).toMatchObject({ name: "west", problem: undefined });
    expect(installed.client?.pem).toBe(peer.client.certificate.pem);
  });

  test("is refused with the object and the key that is wrong", () => {
    const good = secretFromPeer(peer, "ns");
    const other = cluster.authority.privateKey.encodePem();
    const cases: [Secret, string][] = [
      [
        withKey(good, "tls.key"),
        'Cannot use "tls.key" of Secret ns/tombolo-peer-west: it is missing',
      ],
      [withKey(good, "tls.key", other), 'it is not the key of "tls.crt"'],
      [withKey(good, "ca.crt", ""), '"ca.crt" of Secret ns/tombolo-peer-west'],
      [withKey(good, "endpoints", "\n"), "found 0 lines"],
      [withKey(good, "endpoints", "http://a:1"), 'each "https://ADDRESS:PORT"; found "http://a:1"'],
    ];
    for (const [secret, message] of cases) {
      expect(() => peerFromSecret(secret)).toThrow(message);
      expect(installedPeerFromSecret(secret).problem).toContain(message);
    }
    expect(() => peerFromSecret({ ...good, metadata: { name: "tombolo-peer-west" } })).toThrow(
      'Cannot use Secret tombolo-peer-west: label "tombolo.io/peer" is ""',
    );
  });

  test("never quotes a key in its errors", () => {
    const key = peer.client.privateKey.encodePem();
    const broken = withKey(secretFromPeer(peer, "ns"), "tls.key", key.replace("KEY-----", "KEY--"));
    const { problem = "" } = installedPeerFromSecret(broken);
    expect(problem).not.toBe("");
    expect(problem).not.toContain(key.split("\n")[1]);
  });
});

describe("readers", () => {
  test("come back in their order; without an object there are none", () => {
    expect(readersFromConfigMap(configMapFromReaders(["west", "north"], "ns"))).toEqual([
      "west",
      "north",
    ]);
    expect(readersFromConfigMap(undefined)).toEqual([]);
    expect(readersFromConfigMap({ metadata: { name: "tombolo-readers" } })).toEqual([]);
  });

  test("are refused with the object and the key", () => {
    const metadata = { name: "tombolo-readers", namespace: "ns" };
    const broken = { metadata, data: { "remote-users.yaml": "users: 3" } };
    expect(() => readersFromConfigMap(broken)).toThrow(
      'Cannot use "users" of "ConfigMap ns/tombolo-readers, key remote-users.yaml"',
    );
  });
});

describe("invitations", () => {
  const invite: Invite = {
    id: "0123456789abcdef",
    secretHash: "ab",
    expiresAtMs: 5,
    use: { kind: "used", joiner: "west", atMs: 7 },
  };

  test("come back as they were", () => {
    expect(invitesFromSecret(secretFromInvites([invite], "ns"))).toEqual([invite]);
    expect(invitesFromSecret(undefined)).toEqual([]);
  });

  test("are refused with the object and the key", () => {
    const broken = withKey(secretFromInvites([invite], "ns"), invite.id, "{}");
    expect(() => invitesFromSecret(broken)).toThrow(
      "Cannot read invitation Secret ns/tombolo-invites, key 0123456789abcdef: fields are missing",
    );
  });
});

describe("the authority", () => {
  test("comes back with its key and its bundle", () => {
    const read = authorityFromSecret(secretFromAuthority(cluster, "ns"));
    expect(read.authority.certificate.pem).toBe(cluster.authority.certificate.pem);
    expect(read.authority.privateKey.encodePem()).toBe(cluster.authority.privateKey.encodePem());
    expect(read.bundle.authorities).toHaveLength(1);
  });

  test("is refused with the object and the key", () => {
    expect(() => authorityFromSecret(undefined)).toThrow('there is no Secret "tombolo-ca"');
    const broken = withKey(secretFromAuthority(cluster, "ns"), "ca.key");
    expect(() => authorityFromSecret(broken)).toThrow(
      'Cannot use "ca.key" of Secret ns/tombolo-ca: it is missing',
    );
  });
});
