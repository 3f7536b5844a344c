// The two clusters of the truth table: their namespaces, pods and services, and what is outside.
// The same for the pure comparison and for the lab; only addresses differ.
import type { Namespace, Node, Outside, Pod, World, WorldService } from "./world.ts";

export const CLUSTERS = ["east", "west"] as const;
export const NAMESPACES = ["shop", "data", "ops"] as const;

/** Where every pod listens, whatever it declares. */
export const PROBED_PORTS = [
  { protocol: "TCP", port: 443 },
  { protocol: "TCP", port: 8080 },
  { protocol: "TCP", port: 9000 },
  { protocol: "TCP", port: 9001 },
  { protocol: "UDP", port: 53 },
  { protocol: "UDP", port: 8080 },
] as const;

/** A pod but for its addresses; its node by number. */
export type PlannedPod = Omit<Pod, "kind" | "node" | "ipv4" | "ipv6"> & { readonly node: 1 | 2 };

const NAMESPACE_LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "east shop": { team: "a", env: "prod" },
  "east data": { team: "b", env: "prod" },
  "east ops": { team: "ops" },
  "west shop": { team: "a", env: "stage" },
  "west data": { team: "b", env: "prod" },
  "west ops": { team: "ops" },
};

export const WORLD_NAMESPACES: readonly Namespace[] = CLUSTERS.flatMap((cluster) =>
  NAMESPACES.map((name) => ({
    cluster,
    name,
    labels: { "kubernetes.io/metadata.name": name, ...NAMESPACE_LABELS[`${cluster} ${name}`] },
  })),
);

const HTTP = { name: "http", containerPort: 8080, protocol: "TCP" } as const;
const METRICS = { name: "metrics", containerPort: 9001, protocol: "TCP" } as const;

type Kind = Omit<PlannedPod, "cluster" | "name" | "node">;

const KINDS = {
  web: {
    namespace: "shop",
    labels: { app: "web", tier: "front" },
    serviceAccount: "default",
    ports: [HTTP, { name: "sync", containerPort: 8080, protocol: "UDP" }],
  },
  cart: {
    namespace: "shop",
    labels: { app: "cart", tier: "back" },
    serviceAccount: "cart",
    // The same name as web's, another number.
    ports: [{ ...HTTP, containerPort: 9000 }, METRICS],
  },
  db: {
    namespace: "data",
    labels: { app: "db", tier: "back" },
    serviceAccount: "default",
    ports: [METRICS],
  },
  minio: {
    namespace: "data",
    labels: { app: "minio" },
    serviceAccount: "default",
    ports: [{ ...HTTP, containerPort: 9000 }],
  },
  dns: {
    namespace: "ops",
    labels: { app: "dns", tier: "back" },
    serviceAccount: "default",
    ports: [{ name: "dns", containerPort: 53, protocol: "UDP" }],
  },
} satisfies Record<string, Kind>;

/** Six in each cluster: two of one identity on different nodes, every other of its own. */
export const PLANNED_PODS: readonly PlannedPod[] = CLUSTERS.flatMap((cluster) => [
  { cluster, name: "web-1", node: 1, ...KINDS.web },
  { cluster, name: "web-2", node: 2, ...KINDS.web },
  { cluster, name: "cart-1", node: 2, ...KINDS.cart },
  { cluster, name: "db-1", node: 1, ...KINDS.db },
  { cluster, name: "minio-1", node: 2, ...KINDS.minio },
  { cluster, name: "dns-1", node: 1, ...KINDS.dns },
]);

export const OUTSIDE: readonly Outside[] = [
  { kind: "outside", name: "partner", ipv4: "198.51.100.20", ipv6: "2001:db8:51::20" },
  { kind: "outside", name: "hole", ipv4: "198.51.100.130", ipv6: "2001:db8:51:8000::130" },
  { kind: "outside", name: "stranger", ipv4: "203.0.113.9", ipv6: "2001:db8:113::9" },
];

export const SERVICES: readonly WorldService[] = CLUSTERS.flatMap((cluster) => [
  { cluster, namespace: "shop", name: "front", selector: { tier: "front" } },
  { cluster, namespace: "data", name: "store", selector: { app: "minio" } },
]);

/** With the addresses that a lab of two clusters and two nodes each would have. */
export function plannedWorld(): World {
  const nodes: Node[] = CLUSTERS.flatMap((cluster, i) =>
    [1, 2].map((n) => ({
      kind: "node" as const,
      cluster,
      name: `${cluster}-node${n}`,
      ipv4: `198.18.${i + 1}.${4 * n + 2}`,
      ipv6: `fd00:18:${i + 1}::${4 * n + 2}`,
    })),
  );
  const pods: Pod[] = PLANNED_PODS.map((pod, i) => {
    const id = CLUSTERS.findIndex((cluster) => cluster === pod.cluster) + 1;
    const node = `${pod.cluster}-node${pod.node}`;
    const ipv4 = `10.${id}.${pod.node}.${10 + i}`;
    const ipv6 = `fd00:10:${id}:${pod.node}::${10 + i}`;
    return { ...pod, kind: "pod", node, ipv4, ipv6 };
  });
  return {
    scope: "local",
    namespaces: WORLD_NAMESPACES,
    pods,
    nodes,
    outside: OUTSIDE,
    services: SERVICES,
  };
}
