// What a drill needs of a mesh: to ask its agents and apiservers. The real one asks over NATS
// (mesh/commands/drill-mesh.ts), tests simulate one.
import type { AnswerTo, Question } from "../operations/questions.ts";
import type { Check } from "./definition.ts";

/** The node by which a cluster's apiserver is asked. */
export const APISERVER = "_apiserver";

export interface Place {
  readonly cluster: string;
  readonly node: string;
}

export interface DrainOrder {
  readonly id: string;
  readonly cluster: string;
  readonly percent: number;
  readonly services: readonly string[];
  /** Wall clock: a drain ends by itself, whoever dies. */
  readonly expiresAtMs: number;
  readonly reason: string;
}

export interface DrillMesh {
  /** The clusters that the operator reaches; faults happen to them, canaries run in them. */
  readonly clusters: readonly string[];
  /** Throws `unavailable` or `deadline_exceeded` when nobody answers. */
  ask<Asked extends Question>(
    place: Place,
    question: Asked,
    signal: AbortSignal,
  ): Promise<AnswerTo<Asked>>;
  drain(order: DrainOrder, signal: AbortSignal): Promise<void>;
  /** Idempotent. */
  undrain(cluster: string, id: string, signal: AbortSignal): Promise<void>;
  /** A user's probe: undefined when it is well, otherwise why not. Never throws but `aborted`. */
  check(probe: Check["probe"], timeoutMs: number, signal: AbortSignal): Promise<string | undefined>;
}

export function placeName({ cluster, node }: Place): string {
  return node === APISERVER ? `apiserver of ${cluster}` : `${cluster}/${node}`;
}
