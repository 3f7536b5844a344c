// What an operator of a cluster on Kubernetes ("east") does to connect it with one that is not
// ("west"), by invitation in both directions, well and badly.
import { openClusterAccess, openKubernetesAccess } from "../../mesh/connect/context-access.ts";
import { createInvite } from "../../mesh/connect/invite.ts";
import { createInviteStore, openInvite } from "../../mesh/connect/invite-store.ts";
import type { ClusterAccess } from "../../mesh/connect/cluster-access.ts";
import { joinCluster } from "../../mesh/connect/join.ts";
import { createKubernetesInviteStore } from "../../mesh/connect/kubernetes-invites.ts";
import { configMapFromSettings } from "../../mesh/connect/kubernetes-profile.ts";
import { clusterPaths, readClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createObject, deleteObject } from "../../mesh/kubernetes/objects.ts";
import { createKubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { pkiPaths, readAuthority, readBundle } from "../../pki/files.ts";
import { issueRemote } from "../../pki/issue.ts";
import { generatePrivateKey, LEAF_KEY_BITS } from "../../pki/private-key.ts";
import { createSigningRequest } from "../../pki/signing-request.ts";
import type { TestApiserver } from "../fakes/apiserver.ts";

export interface Operator {
  /** East's ConfigMap, with the endpoints that it has on this machine. */
  writeProfile(): Promise<void>;
  /** East's Secret for west, as from a repository. */
  applyPeer(): Promise<void>;
  removePeer(): Promise<void>;
  /** East invites, west joins. */
  inviteWest(): Promise<void>;
  /** The same, but west never comes to read east: both put back. What west was told, in lines. */
  joinInVain(): Promise<string>;
  /** West invites, east joins. */
  joinWest(): Promise<void>;
  /** West is connected, by a join that ran out of time when its apiserver was not there. */
  leaveHalfJoined(): Promise<void>;
  disconnect(): Promise<void>;
  /** Takes away all that joins leave. */
  forget(): Promise<void>;
}

const TTL_MS = 900_000;
const never = new AbortController().signal;

export function createOperator(options: {
  readonly east: TestApiserver;
  readonly west: TestApiserver;
  readonly kubeconfig: string;
  readonly namespace: string;
}): Operator {
  const { east, west, kubeconfig, namespace } = options;
  const clock = systemClock;
  const environment = { clock, random: Math.random, log: silentLogger };
  const transport = createKubernetesTransport({ kubeconfig }, { clock });
  const core = `/api/v1/namespaces/${namespace}`;
  const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const invites = createKubernetesInviteStore({ transport, namespace, clock });
  const apiserver = { readPeers: async () => (await east.status()).peers };
  const place = { context: "east", transport, namespace, apiserver };
  const eastAccess = openKubernetesAccess(place, environment);
  const westAccess = openClusterAccess({ context: "west", directory: west.directory }, environment);

  /** `inviter` invites, and `access` joins. */
  async function join(
    { inviter, store }: { inviter: TestApiserver; store: typeof invites },
    { access, limitMs, lines = [] }: { access: ClusterAccess; limitMs?: number; lines?: string[] },
  ): Promise<void> {
    const { pki } = clusterPaths(inviter.directory);
    const { certificate: authority } = await readAuthority(pki);
    const cluster = await readClusterProfile(inviter.directory);
    const described = { cluster, joinEndpoints: [inviter.joinEndpoint], authority };
    const wanted = { inviter: described, invites: store, ttlMs: TTL_MS, nowMs: clock.nowMs() };
    const token = await createInvite(wanted);
    await joinCluster(token, {
      access,
      clock,
      onProgress: (line) => lines.push(line),
      signal: never,
      ...(limitMs === undefined ? {} : { verifyLimitMs: limitMs }),
    });
  }

  const operator: Operator = {
    async writeProfile() {
      const { etcdEndpoint, joinEndpoint } = east;
      const settings = { name: "east", id: 1, maxConnectedClusters: 255 } as const;
      const body = configMapFromSettings(
        { ...settings, etcdEndpoints: [etcdEndpoint], joinEndpoint },
        namespace,
      );
      await createObject(transport, { path: `${core}/configmaps`, body }, never);
    },
    async applyPeer() {
      const { pki } = clusterPaths(west.directory);
      const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
      const request = createSigningRequest("east", privateKey);
      const authority = await readAuthority(pki);
      const certificate = issueRemote(authority, { reader: "east", request, nowMs: clock.nowMs() });
      const bundle = await readBundle(pkiPaths(pki).caBundle);
      const client = { certificate, privateKey };
      const endpoints = [west.etcdEndpoint];
      await eastAccess.installPeer({ name: "west", endpoints, bundle, client });
    },
    removePeer: () => eastAccess.removePeer("west"),
    inviteWest: () => join({ inviter: east, store: invites }, { access: westAccess }),
    async joinInVain() {
      const lines: string[] = [];
      const access = { ...westAccess, readPeers: () => Promise.resolve([]) };
      const joining = join({ inviter: east, store: invites }, { access, limitMs: 1, lines });
      const failure = await joining.then(() => "it joined", messageFromError);
      return [...lines, failure].join("\n");
    },
    joinWest: () =>
      join({ inviter: west, store: createInviteStore(west.directory) }, { access: eastAccess }),
    async leaveHalfJoined() {
      await operator.applyPeer();
      await eastAccess.admitReader("west");
      const nowMs = clock.nowMs();
      const invite = openInvite({ secretHash: "00", expiresAtMs: nowMs + TTL_MS });
      const use = { kind: "provisional", joiner: "west", untilMs: nowMs, wasConnected: false };
      await invites.write({ ...invite, use } as const as Parameters<typeof invites.write>[0]);
    },
    async disconnect() {
      for (const [access, peer] of [[eastAccess, "west"] as const, [westAccess, "east"] as const]) {
        await access.removePeer(peer);
        await access.expelReader(peer);
      }
    },
    async forget() {
      for (const path of [
        `${core}/secrets/tombolo-peer-west`,
        `${core}/secrets/tombolo-invites`,
        `${core}/configmaps/tombolo-readers`,
        `${leases}/tombolo-connect`,
      ]) {
        await deleteObject(transport, { path }, never);
      }
      await westAccess.removePeer("east");
      await westAccess.expelReader("east");
    },
  };
  return operator;
}
