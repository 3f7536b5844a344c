// The Kubernetes objects of the lab as plain values, and how they get into a cluster's manifests
// directory: whole or not at all, one object a file.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { PUBLIC_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { linkAddress } from "./plan.ts";
import type { LabNode } from "./plan.ts";

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

export interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
}

export interface PodState {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly ports: readonly ContainerPort[];
  readonly addresses: readonly string[];
  readonly ready: boolean;
  /** ISO time since which the pod is being taken away. */
  readonly deletionTimestamp?: string;
}

/** "pod.shop.cart-1.yaml": kind, namespace and name; no two objects share it. */
export function manifestFile(object: Pick<Manifest, "kind" | "metadata">): string {
  const { namespace, name } = object.metadata;
  const words = [object.kind.toLowerCase(), ...(namespace === undefined ? [] : [namespace]), name];
  return `${words.join(".")}.yaml`;
}

export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  // Readers of the directory look at *.yaml only, so the temporary file is never seen.
  await writeFileAtomic(join(directory, manifestFile(manifest)), stringify(manifest), {
    mode: PUBLIC_FILE_MODE,
  });
}

/** Removing what is not there is success. */
export async function deleteManifest(
  directory: string,
  object: Pick<Manifest, "kind" | "metadata">,
): Promise<void> {
  await rm(join(directory, manifestFile(object)), { force: true });
}

export async function listManifests(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith(".yaml")).sort();
}

export function namespaceManifest(name: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels: { "kubernetes.io/metadata.name": name } },
  };
}

export function nodeManifest(node: LabNode): Manifest {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: node.name,
      labels: { "kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux" },
    },
    spec: { podCIDR: node.podPrefixes[0], podCIDRs: [...node.podPrefixes] },
    status: {
      addresses: [
        { type: "Hostname", address: node.name },
        { type: "InternalIP", address: linkAddress(node, 4) },
        { type: "InternalIP", address: linkAddress(node, 6) },
      ],
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
}

export function podManifest(pod: PodState, node: LabNode): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: pod.name,
      namespace: pod.namespace,
      uid: pod.uid,
      labels: { ...pod.labels },
      ...(pod.deletionTimestamp === undefined ? {} : { deletionTimestamp: pod.deletionTimestamp }),
    },
    spec: {
      nodeName: node.name,
      serviceAccountName: pod.serviceAccount,
      containers: [{ name: "main", image: "lab", ports: pod.ports.map((port) => ({ ...port })) }],
    },
    status: {
      phase: "Running",
      hostIP: linkAddress(node, 4),
      hostIPs: [{ ip: linkAddress(node, 4) }, { ip: linkAddress(node, 6) }],
      podIP: pod.addresses[0],
      podIPs: pod.addresses.map((ip) => ({ ip })),
      conditions: [{ type: "Ready", status: pod.ready ? "True" : "False" }],
    },
  };
}
