// A cluster's facts as they travel over the join API. What comes from the other side is validated
// here, field by field, before anything else sees it. Pure.
import { encodeBundle, parseBundle } from "../../pki/bundle.ts";
import type { FactsMessage } from "../api/join-messages.ts";
import { parsePrefix } from "../core/address.ts";
import { parseClusterName } from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";
import { parseClusterProfile } from "../contexts/cluster-directory.ts";
import type { ClusterFacts, EncryptionMode } from "./cluster-facts.ts";

/** 10,000 nodes with two families; twice, for the peers that a cluster mirrors. */
const MAX_PREFIXES = 40_000;
/** As many clusters as the widest mesh can hold. */
const MAX_PEERS = 511;
const MAX_ENDPOINTS = 16;
/** A Kubernetes object's name. */
const NODE_NAME_MAX_LENGTH = 253;
/** Sorted. A word that is none of these comes from a newer version and is not known here. */
const ENCRYPTION_MODES: readonly EncryptionMode[] = ["ipsec", "none", "wireguard"];
const VERSION = /^[-+.0-9A-Za-z]{0,64}$/;

export function messageFromFacts(facts: ClusterFacts, nowMs: number): FactsMessage {
  const { profile } = facts;
  return {
    name: profile.name,
    id: profile.id,
    maxConnectedClusters: profile.maxConnectedClusters,
    etcdEndpoints: profile.etcdEndpoints,
    joinEndpoint: profile.joinEndpoint,
    caBundle: encodeBundle(facts.bundle),
    prefixes: facts.prefixes,
    encryption: facts.encryption,
    peers: facts.peers.map(({ name, id }) => ({ name, id: id ?? 0 })),
    version: facts.version,
    nowMs: String(Math.round(nowMs)),
  };
}

/**
 * `context` is how messages name the sender. The sender's clock is compared with `nowMs`, so that
 * preflight judges it like any other. Throws `invalid_argument`.
 */
export function factsFromMessage(
  message: FactsMessage,
  options: { context: string; nowMs: number },
): ClusterFacts {
  const { context, nowMs } = options;
  limit(message.prefixes.length, { max: MAX_PREFIXES, what: "pod prefixes", context });
  limit(message.peers.length, { max: MAX_PEERS, what: "peers", context });
  limit(message.etcdEndpoints.length, { max: MAX_ENDPOINTS, what: "etcd endpoints", context });
  if (!VERSION.test(message.version)) throw refusal(context, "its version is no version");
  const { name, id, maxConnectedClusters, etcdEndpoints, joinEndpoint } = message;
  const profile = parseClusterProfile(
    JSON.stringify({ name, id, maxConnectedClusters, etcdEndpoints, joinEndpoint }),
    context,
  );
  const clockOffsetMs = Number(message.nowMs) - nowMs;
  return {
    context,
    profile,
    bundle: parseBundle(message.caBundle, `of ${context}`),
    endpoints: profile.etcdEndpoints.slice(0, 1).map((endpoint) => ({
      endpoint,
      answer: { kind: "reachable", clockOffsetMs },
    })),
    prefixes: message.prefixes.map(({ prefix, cluster, node }) => {
      if (node.length > NODE_NAME_MAX_LENGTH) throw refusal(context, "a node's name is too long");
      return { prefix: parsePrefix(prefix).text, cluster: parseClusterName(cluster), node };
    }),
    encryption: ENCRYPTION_MODES.filter((mode) => message.encryption.includes(mode)),
    advertised: undefined,
    apiserverProblem: undefined,
    version: message.version,
    peers: message.peers.map((peer) => ({
      name: parseClusterName(peer.name),
      id: peer.id === 0 ? undefined : peer.id,
      endpoints: [],
      bundle: undefined,
      client: undefined,
      problem: undefined,
    })),
    readers: [],
  };
}

function limit(count: number, options: { max: number; what: string; context: string }): void {
  const { max, what, context } = options;
  if (count > max) throw refusal(context, `it names ${count} ${what}, the limit is ${max}`);
}

function refusal(context: string, reason: string): MeshError {
  return new MeshError("invalid_argument", `Cannot accept the facts of ${context}: ${reason}`);
}
