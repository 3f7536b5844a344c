// Pods as their node's agent must know them before they have an address: the identity that policy
// sees, and the ports that policies may name. Tombolo's own record; peers do not read it.
import { isDeepStrictEqual } from "node:util";
import type { ClusterIdentity } from "../../core/cluster.ts";
import { identityRange, type IdentityNumber } from "../../core/identity.ts";
import type { Protocol } from "../../core/service.ts";
import { ENDPOINT_MAX_NAMED_PORTS } from "./endpoint.ts";
import { NAMESPACE_NAME, POD_NAME, PORT_NAME } from "./kubernetes-names.ts";
import {
  openRecord,
  refusal,
  textIsAllowed,
  type RecordFields,
  type RecordSubject,
} from "./record-fields.ts";

export interface LocalPod {
  readonly namespace: string;
  readonly name: string;
  readonly identity: IdentityNumber;
  readonly namedPorts: readonly NamedPort[];
}

export interface NamedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
}

const PROTOCOLS = ["TCP", "UDP", "SCTP"] as const;
const PORT = { min: 1, max: 65_535 } as const;

/** The tail of the record's key behind its node. */
export function localPodName({ namespace, name }: Pick<LocalPod, "namespace" | "name">): string {
  return `${namespace}/${name}`;
}

/** Of more named ports than a record may have, the first ones count. */
export function encodeLocalPod({ identity, namedPorts }: LocalPod): Buffer {
  const named = namedPorts.slice(0, ENDPOINT_MAX_NAMED_PORTS);
  return Buffer.from(JSON.stringify({ identity, namedPorts: named }));
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseLocalPod(key: string, value: Buffer, cluster: ClusterIdentity): LocalPod {
  const subject: RecordSubject = { kind: "pod", name: key };
  const { namespace, name } = podFromKey(subject);
  const fields = openRecord(subject, value);
  return {
    namespace,
    name,
    identity: identityFromFields(fields, cluster),
    namedPorts: fields.objects("namedPorts", ENDPOINT_MAX_NAMED_PORTS).map((port) => ({
      name: port.text("name", { ...PORT_NAME, optional: false }),
      port: port.integer("port", PORT),
      protocol: port.choice("protocol", PROTOCOLS),
    })),
  };
}

export function sameLocalPod(a: LocalPod, b: LocalPod): boolean {
  return isDeepStrictEqual(a, b);
}

function podFromKey(subject: RecordSubject): Pick<LocalPod, "namespace" | "name"> {
  const [namespace = "", name = "", ...rest] = subject.name.split("/");
  const isPod =
    rest.length === 0 && textIsAllowed(namespace, NAMESPACE_NAME) && textIsAllowed(name, POD_NAME);
  if (isPod) return { namespace, name };
  throw refusal(subject, 'want "NAMESPACE/NAME" in its key');
}

/** An ordinary one: what is not a pod of the cluster has no record here. */
function identityFromFields(fields: RecordFields, cluster: ClusterIdentity): IdentityNumber {
  const { first, last } = identityRange(cluster.id, cluster.maxConnectedClusters);
  return fields.integer("identity", { min: first, max: last });
}
