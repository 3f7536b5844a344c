// A cluster on disk: the directory that one apiserver owns and that an operator with access to
// it points `mesh` at. This file knows where everything stands in it and reads `cluster.json`;
// it writes nothing.
//
//   cluster.json            name, id, endpoints (ClusterProfile)
//   manifests/              Kubernetes YAML, watched: the cluster's state
//   pki/                    CA, trust bundle, server / admin / local certificates and keys
//   peers/NAME.yaml         one connected peer, in Cilium's format (reference §4.2)
//   peers/NAME/             its trust bundle, our client certificate and key for it
//   remote-users.yaml       the peers that may read us (reference §4.2, clustermesh-remote-users)
//   operations/drains.json  drains that were ordered here (docs/drain.md)
//   etcd/                   data of the embedded etcd
//   run/                    sockets, pid files
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  parseClusterId,
  parseClusterName,
  parseMaxConnectedClusters,
  type ClusterIdentity,
} from "../core/cluster.ts";
import { MeshError } from "../core/errors.ts";

export interface ClusterProfile extends ClusterIdentity {
  /** `https://ADDRESS:PORT` of the cluster's etcd, as peers and agents reach it. */
  readonly etcdEndpoints: readonly string[];
  /** `ADDRESS:PORT` of the join API, as peers reach it. */
  readonly joinEndpoint: string;
}

/** A profile whose endpoints may be left to be found: what a Kubernetes cluster is given. */
export interface ClusterSettings extends ClusterIdentity {
  readonly etcdEndpoints: readonly string[] | undefined;
  readonly joinEndpoint: string | undefined;
}

export interface ClusterPaths {
  readonly root: string;
  readonly profile: string;
  readonly manifests: string;
  readonly pki: string;
  readonly peers: string;
  readonly remoteUsers: string;
  readonly drains: string;
  readonly etcdData: string;
  readonly run: string;
  readonly apiserverSocket: string;
}

export function clusterPaths(root: string): ClusterPaths {
  return {
    root,
    profile: join(root, "cluster.json"),
    manifests: join(root, "manifests"),
    pki: join(root, "pki"),
    peers: join(root, "peers"),
    remoteUsers: join(root, "remote-users.yaml"),
    drains: join(root, "operations", "drains.json"),
    etcdData: join(root, "etcd"),
    run: join(root, "run"),
    apiserverSocket: join(root, "run", "apiserver.sock"),
  };
}

/** Throws `not_found` or `invalid_argument` naming the file and the field. */
export async function readClusterProfile(root: string): Promise<ClusterProfile> {
  const path = clusterPaths(root).profile;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new MeshError("not_found", `Cannot read cluster profile "${path}"`, { cause });
  }
  return parseClusterProfile(text, path);
}

/** `path` only appears in messages. */
export function parseClusterProfile(text: string, path: string): ClusterProfile {
  const { etcdEndpoints, joinEndpoint, ...identity } = parseClusterSettings(text, path);
  return {
    ...identity,
    etcdEndpoints: etcdEndpoints ?? parseEndpoints(undefined, path),
    joinEndpoint: joinEndpoint ?? parseHostPort(undefined, path),
  };
}

/** Like a profile, but the endpoints may be missing. */
export function parseClusterSettings(text: string, path: string): ClusterSettings {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MeshError("invalid_argument", `Cannot parse cluster profile "${path}" as JSON`, {
      cause,
    });
  }
  if (typeof value !== "object" || value === null) {
    throw new MeshError(
      "invalid_argument",
      `Cannot parse cluster profile "${path}": want an object`,
    );
  }
  const fields = value as Record<string, unknown>;
  const maxConnectedClusters = parseMaxConnectedClusters(fields["maxConnectedClusters"] ?? 255);
  return {
    name: parseClusterName(fields["name"]),
    id: parseClusterId(fields["id"], maxConnectedClusters),
    maxConnectedClusters,
    etcdEndpoints: optional(fields["etcdEndpoints"], (value) => parseEndpoints(value, path)),
    joinEndpoint: optional(fields["joinEndpoint"], (value) => parseHostPort(value, path)),
  };
}

function optional<T>(value: unknown, parse: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : parse(value);
}

function parseEndpoints(value: unknown, path: string): string[] {
  const valid =
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(
      (item) => typeof item === "string" && URL.canParse(item) && item.startsWith("https://"),
    );
  if (!valid) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use "etcdEndpoints" of "${path}": want a list of "https://ADDRESS:PORT"`,
    );
  }
  return value as string[];
}

function parseHostPort(value: unknown, path: string): string {
  if (typeof value !== "string" || !/^\S+:\d{1,5}$/.test(value)) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use "joinEndpoint" of "${path}": want "ADDRESS:PORT"`,
    );
  }
  return value;
}
