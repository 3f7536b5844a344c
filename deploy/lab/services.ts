// Services of the lab: the address that the control plane of a real cluster would allot, and the
// manifest. The lab has no allocator: whoever declares a service chooses its number.
import { addressInPrefix, parsePrefix } from "../../mesh/core/address.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { namespaceManifest, writeManifest, type Manifest } from "./manifests.ts";
import type { LabCluster } from "./plan.ts";

export interface LabService {
  readonly namespace: string;
  readonly name: string;
  /** Its place in the cluster's service prefixes: 1 and up. */
  readonly number: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly selector: Readonly<Record<string, string>>;
  readonly port: number;
  readonly targetPort: number;
}

/** One address a family, IPv4 first. */
export function serviceAddresses(cluster: LabCluster, number: number): string[] {
  if (!Number.isInteger(number) || number < 1) {
    throw new MeshError("invalid_argument", `Cannot use ${number} as number of a service: want 1…`);
  }
  return cluster.servicePrefixes.map(
    (prefix) => addressInPrefix(parsePrefix(prefix), BigInt(number)).text,
  );
}

/** TCP and UDP on the same port, named "main" and "main-udp" like the ports of the lab's pods. */
export function serviceManifest(cluster: LabCluster, service: LabService): Manifest {
  const { namespace, name, annotations, selector, port, targetPort } = service;
  const clusterIPs = serviceAddresses(cluster, service.number);
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace, annotations: { ...annotations } },
    spec: {
      type: "ClusterIP",
      clusterIP: clusterIPs[0],
      clusterIPs,
      ipFamilies: ["IPv4", "IPv6"],
      ipFamilyPolicy: "RequireDualStack",
      selector: { ...selector },
      ports: [
        { name: "main", protocol: "TCP", port, targetPort },
        { name: "main-udp", protocol: "UDP", port, targetPort },
      ],
    },
  };
}

/** Declares the service and the namespace it is in. */
export async function writeService(cluster: LabCluster, service: LabService): Promise<void> {
  const { manifests } = clusterPaths(cluster.directory);
  await writeManifest(manifests, namespaceManifest(service.namespace));
  await writeManifest(manifests, serviceManifest(cluster, service));
}

/** "tcp:10.97.0.10:80", "tcp:[fd00:96:1::a]:80", and the same for UDP. */
export function serviceTargets(cluster: LabCluster, service: LabService): string[] {
  const hosts = serviceAddresses(cluster, service.number).map((address) =>
    address.includes(":") ? `[${address}]` : address,
  );
  return ["tcp", "udp"].flatMap((protocol) =>
    hosts.map((host) => `${protocol}:${host}:${service.port}`),
  );
}
