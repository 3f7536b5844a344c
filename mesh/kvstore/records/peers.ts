// A peer that a cluster is configured to have, connected or not: `{"name":"west","id":2}`, without
// the id until the peer has told it. Written by the apiserver, read by the cluster's own agents,
// which remove nothing of a cluster that may be one of these.
import { parseClusterName, type ClusterId } from "../../core/cluster.ts";
import { messageFromError } from "../../core/errors.ts";
import { openRecord, refusal, type RecordSubject } from "./record-fields.ts";

export interface ConfiguredPeer {
  readonly name: string;
  /** Undefined until the peer has been reached once. */
  readonly id: ClusterId | undefined;
}

/** The width of the wider of the two layouts of identities. */
const MAX_CLUSTER_ID = 511;

/** The tail of the record's key. */
export function configuredPeerName(peer: ConfiguredPeer): string {
  return peer.name;
}

export function encodeConfiguredPeer(peer: ConfiguredPeer): Buffer {
  return Buffer.from(JSON.stringify(peer));
}

/** Throws `invalid_argument` for a record that must not be believed. */
export function parseConfiguredPeer(name: string, value: Buffer): ConfiguredPeer {
  const subject: RecordSubject = { kind: "configured peer", name };
  try {
    parseClusterName(name);
  } catch (error) {
    throw refusal(subject, messageFromError(error));
  }
  const fields = openRecord(subject, value);
  fields.exactly("name", name);
  const id = fields.has("id") ? fields.integer("id", { min: 1, max: MAX_CLUSTER_ID }) : undefined;
  return { name, id };
}

export function sameConfiguredPeer(a: ConfiguredPeer, b: ConfiguredPeer): boolean {
  return a.name === b.name && a.id === b.id;
}
