// The reference evaluator: what becomes of a packet by the policy documents alone, read as the
// Kubernetes and Cilium documentation says they are to be read. It shares no code with the project
// and is written to be checked by eye, not to be fast.
//
//   - Documents count in the cluster in which they are applied, for pods of that cluster.
//   - The sender's egress and the receiver's ingress must both let the packet through.
//   - A pod that some document isolates in a direction drops there what no document allows.
//   - A deny beats every allow, whoever wrote which.
//   - A pod's own node always reaches it, unless a deny names it.
//   - What a document asks for and nobody can do here (layer 7, FQDN, nodes by label) fails closed.
import { readCilium } from "./reference-cilium.ts";
import { readKubernetes } from "./reference-kubernetes.ts";
import { documentName, type Applied } from "./documents.ts";
import { isOwnNode, type Direction, type Question } from "./question.ts";
import type { Packet, World } from "./world.ts";

export interface Verdict {
  readonly allowed: boolean;
  /** For people who look at a disagreement. */
  readonly why: string;
}

export function evaluate(world: World, documents: readonly Applied[], packet: Packet): Verdict {
  const egress = evaluateEnd(world, documents, { packet, direction: "egress" });
  const ingress = evaluateEnd(world, documents, { packet, direction: "ingress" });
  return {
    allowed: egress.allowed && ingress.allowed,
    why: `egress: ${egress.why}; ingress: ${ingress.why}`,
  };
}

/** Nodes and what is outside have no policies. */
export function evaluateEnd(
  world: World,
  documents: readonly Applied[],
  { packet, direction }: { readonly packet: Packet; readonly direction: Direction },
): Verdict {
  const subject = direction === "egress" ? packet.from : packet.to;
  const peer = direction === "egress" ? packet.to : packet.from;
  if (subject.kind !== "pod") return { allowed: true, why: "no pod" };
  const question: Question = { world, subject, direction, peer, packet };

  const isolating: string[] = [];
  const allowing: string[] = [];
  const denying: string[] = [];
  for (const applied of documents) {
    if (applied.cluster !== subject.cluster) continue;
    const { document } = applied;
    const opinion =
      document.kind === "NetworkPolicy"
        ? readKubernetes(document, question)
        : readCilium(document, question);
    if (opinion === undefined) continue;
    if (opinion.isolates) isolating.push(documentName(applied));
    if (opinion.allows) allowing.push(documentName(applied));
    if (opinion.denies) denying.push(documentName(applied));
  }

  if (denying.length > 0) return { allowed: false, why: `denied by ${denying.join(", ")}` };
  if (allowing.length > 0) return { allowed: true, why: `allowed by ${allowing.join(", ")}` };
  if (direction === "ingress" && isOwnNode(subject, peer)) {
    return { allowed: true, why: "the pod's own node" };
  }
  if (isolating.length > 0) return { allowed: false, why: `isolated by ${isolating.join(", ")}` };
  return { allowed: true, why: "not isolated" };
}
