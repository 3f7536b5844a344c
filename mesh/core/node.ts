// Nodes and the addresses that live on them, in the wire's words (reference §1.5, §1.6).
import type { ClusterId } from "./cluster.ts";
import type { IdentityNumber } from "./identity.ts";

export type NodeAddressType = "Hostname" | "InternalIP" | "ExternalIP" | "CiliumInternalIP";

export interface NodeAddress {
  readonly type: NodeAddressType;
  /** Canonical address text. */
  readonly ip: string;
}

export interface MeshNode {
  readonly cluster: string;
  readonly clusterId: ClusterId;
  readonly name: string;
  readonly addresses: readonly NodeAddress[];
  /** Pod prefixes of both families, canonical text, primary ones first. */
  readonly podPrefixes: readonly string[];
  /** IPsec key id 1 … 15, 255 for WireGuard, 0 for none. */
  readonly encryptionKey: number;
  /** Base64 of 32 bytes, or empty. */
  readonly wireguardPublicKey: string;
  readonly bootId: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
}

/** One address (or prefix) and who stands behind it. */
export interface EndpointAddress {
  /** Canonical `address` (one host) or `address/length`. */
  readonly prefix: string;
  /** Canonical address of the node it lives on: the tunnel endpoint. Empty for none. */
  readonly hostIp: string;
  readonly identity: IdentityNumber;
  readonly encryptionKey: number;
  readonly namespace: string;
  readonly podName: string;
  readonly serviceAccount: string;
  readonly namedPorts: readonly {
    readonly name: string;
    readonly port: number;
    readonly protocol: string;
  }[];
}

/** The first InternalIP of a family, by which other nodes reach this one. */
export function nodeInternalAddress(node: MeshNode, family: 4 | 6): string | undefined {
  return node.addresses.find(
    ({ type, ip }) => type === "InternalIP" && ip.includes(":") === (family === 6),
  )?.ip;
}
