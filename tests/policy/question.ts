// What the reference evaluator asks of each document, and what a document answers.
import type { Packet, Party, Pod, World } from "./world.ts";

export type Direction = "ingress" | "egress";

/** One end's view of a packet. */
export interface Question {
  readonly world: World;
  readonly subject: Pod;
  readonly direction: Direction;
  readonly peer: Party;
  readonly packet: Packet;
}

/** What one document says to a question; undefined if it is not about the subject. */
export interface Opinion {
  /** Whether the subject then drops what nobody allows. */
  readonly isolates: boolean;
  readonly allows: boolean;
  readonly denies: boolean;
}

export function isOwnNode(pod: Pod, peer: Party): boolean {
  return peer.kind === "node" && peer.cluster === pod.cluster && peer.name === pod.node;
}
