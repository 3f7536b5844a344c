// The four documents that people write for an object store, read from their files, and the pods
// that they are about: who may do what under each, written down by hand.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import type { Applied, CiliumPolicy } from "./documents.ts";
import type { PlannedPod } from "./layout.ts";

export const OBJECT_STORE_NAMESPACE = "store";
export const OBJECT_STORE_FILES = ["frontend-ingress", "several-ingress", "peers", "dns-egress"];

export function objectStoreText(name: string): string {
  const path = fileURLToPath(new URL(`object-store/${name}.yaml`, import.meta.url));
  return readFileSync(path, "utf8");
}

export function objectStoreDocument(name: string): Applied {
  return { cluster: "east", document: parse(objectStoreText(name)) as CiliumPolicy };
}

function pod(
  name: string,
  labels: Readonly<Record<string, string>>,
  place: { readonly node?: 1 | 2; readonly namespace?: string; readonly cluster?: string } = {},
): PlannedPod {
  const { node = 1, namespace = OBJECT_STORE_NAMESPACE, cluster = "east" } = place;
  return { cluster, namespace, name, node, labels, serviceAccount: "default", ports: [] };
}

export const OBJECT_STORE_PODS: readonly PlannedPod[] = [
  pod("minio-0", { app: "minio" }),
  pod("minio-1", { app: "minio" }, { node: 2 }),
  pod("frontend", { app: "frontend" }, { node: 2 }),
  pod("backup", { app: "backup" }),
  pod("stranger", { app: "stranger" }, { node: 2 }),
  pod("frontend-elsewhere", { app: "frontend" }, { namespace: "other" }),
  pod("frontend-in-west", { app: "frontend" }, { cluster: "west" }),
  pod("kube-dns", { "k8s-app": "kube-dns" }, { namespace: "kube-system", node: 2 }),
  pod("not-dns", { "k8s-app": "metrics" }, { namespace: "kube-system" }),
];

/** Document → what is to become of `FROM > TO PROTOCOL PORT`, over both families. */
export const OBJECT_STORE_VERDICTS: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  "frontend-ingress": {
    "frontend > minio-0 TCP 9000": true,
    "frontend > minio-1 TCP 9000": true,
    "frontend > minio-0 TCP 9001": false,
    "frontend > minio-0 UDP 8080": false,
    "backup > minio-0 TCP 9000": false,
    "minio-0 > minio-1 TCP 9000": false,
    "frontend-elsewhere > minio-0 TCP 9000": false,
    "frontend-in-west > minio-0 TCP 9000": false,
    "minio-0 > stranger TCP 443": true,
  },
  "several-ingress": {
    "frontend > minio-0 TCP 9000": true,
    "frontend > minio-1 TCP 9001": true,
    "backup > minio-0 TCP 9000": true,
    "backup > minio-1 TCP 9001": true,
    "backup > minio-0 TCP 443": false,
    "stranger > minio-0 TCP 9000": false,
    "stranger > minio-1 TCP 9001": false,
  },
  peers: {
    "minio-0 > minio-1 TCP 9000": true,
    "minio-1 > minio-0 TCP 443": true,
    "minio-1 > minio-0 UDP 53": true,
    "frontend > minio-0 TCP 9000": false,
    "minio-0 > frontend TCP 9000": false,
    "minio-0 > kube-dns UDP 53": false,
  },
  "dns-egress": {
    "minio-0 > kube-dns UDP 53": true,
    "minio-1 > kube-dns UDP 53": true,
    "minio-0 > kube-dns TCP 443": false,
    "minio-0 > not-dns UDP 53": false,
    "minio-0 > minio-1 TCP 9000": false,
    "frontend > minio-0 TCP 9000": true,
  },
};
