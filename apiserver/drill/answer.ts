// What the apiserver answers to the questions of a drill: who is in the cluster, one drill at a
// time, and faults of daemons. Questions come checked (mesh/operations/parse-question.ts).
import type { Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type { DrillLock } from "../../mesh/kvstore/drill-lock.ts";
import type { QuestionHandler } from "../../mesh/operations/ask.ts";
import { APISERVER_NODE } from "../../mesh/operations/subjects.ts";
import type {
  DoneAnswer,
  HelloAnswer,
  LockAnswer,
  Question,
} from "../../mesh/operations/questions.ts";
import type { DaemonFaults } from "./daemon-faults.ts";

/** The key in our etcd; see mesh/kvstore/drill-lock.ts. */
export interface LockKeeper {
  take(
    lock: DrillLock & { readonly ttlMs: number; readonly renew: boolean },
  ): Promise<DrillLock | undefined>;
  release(drill: string): Promise<void>;
}

export interface ApiserverAnswerParts {
  readonly cluster: string;
  readonly version: string;
  readonly nodes: () => readonly string[];
  readonly peers: () => readonly string[];
  readonly locks: LockKeeper;
  readonly faults: DaemonFaults;
  readonly clock: Clock;
}

const DONE: DoneAnswer = { done: true };

export function createApiserverAnswers(parts: ApiserverAnswerParts): QuestionHandler {
  return (question) => answer(parts, question);
}

async function answer(
  parts: ApiserverAnswerParts,
  question: Question,
): Promise<HelloAnswer | LockAnswer | DoneAnswer> {
  switch (question.ask) {
    case "hello":
      return {
        cluster: parts.cluster,
        node: APISERVER_NODE,
        version: parts.version,
        timeMs: parts.clock.nowMs(),
        nodes: parts.nodes(),
        peers: parts.peers(),
      };
    case "lock": {
      const { drill, holder, ttlMs, renew } = question;
      const other = await parts.locks.take({ drill, holder, ttlMs, renew });
      return other === undefined ? { held: true } : { held: false, ...other };
    }
    case "unlock":
      await parts.locks.release(question.drill);
      return DONE;
    case "break":
      await parts.faults.break(question);
      return DONE;
    case "lift":
      parts.faults.lift(question.drill);
      return DONE;
    default:
      throw new MeshError(
        "unsupported",
        `Cannot answer "${question.ask}" as the apiserver of "${parts.cluster}": ask an agent`,
      );
  }
}
