// What the agent answers to the questions of a drill. Questions come checked
// (mesh/operations/parse-question.ts); whether this node can do what is asked is decided here.
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type {
  Answers,
  DoneAnswer,
  FlowsAnswer,
  HealthAnswer,
  Question,
  ServicesAnswer,
  SnapshotAnswer,
  TimelineEntry,
} from "../../mesh/operations/questions.ts";
import type { Canaries } from "./canaries.ts";
import type { Injector } from "./injector.ts";
import { checkOrders } from "./order-limits.ts";

export interface AnswerParts {
  readonly cluster: string;
  readonly node: string;
  readonly version: string;
  /** Names of the other clusters that this node is connected with. */
  readonly peers: () => readonly string[];
  /** Undefined for a cluster that is not known here. */
  readonly clusterId: (name: string) => ClusterId | undefined;
  readonly injector: Pick<Injector, "inject" | "lift">;
  readonly canaries: Pick<Canaries, "order" | "records">;
  readonly services: (after: string) => ServicesAnswer;
  readonly snapshot: (signal: AbortSignal) => Promise<SnapshotAnswer>;
  readonly countFlows: (asked: {
    readonly service: string;
    readonly clusterId: ClusterId;
  }) => Promise<FlowsAnswer>;
  readonly health: () => HealthAnswer;
  readonly timeline: (sinceMs: number) => readonly TimelineEntry[];
  readonly clock: Clock;
}

const DONE: DoneAnswer = { done: true };

/** Throws a MeshError for what this node does not do; the asker is told its message. */
export async function answerQuestion<Asked extends Question>(
  parts: AnswerParts,
  question: Asked,
  signal: AbortSignal,
): Promise<Answers[Asked["ask"]]> {
  return (await answer(parts, question, signal)) as Answers[Asked["ask"]];
}

async function answer(
  parts: AnswerParts,
  question: Question,
  signal: AbortSignal,
): Promise<Answers[Question["ask"]]> {
  const { injector, canaries } = parts;
  switch (question.ask) {
    case "hello": {
      const { cluster, node, version, clock } = parts;
      const peers = parts.peers();
      return { cluster, node, version, timeMs: clock.nowMs(), nodes: [], peers };
    }
    case "services":
      return parts.services(question.after);
    case "health":
      return parts.health();
    case "snapshot":
      return parts.snapshot(signal);
    case "flows":
      return countFlows(parts, question);
    case "inject":
      await injector.inject(question, signal);
      return DONE;
    case "lift":
      await injector.lift(question.drill, signal);
      return DONE;
    case "canaries":
      checkOrders(question.orders);
      await canaries.order(question);
      return DONE;
    case "canary-records":
      return canaries.records(question);
    case "timeline":
      return { entries: parts.timeline(question.sinceMs) };
    case "break":
    case "lock":
    case "unlock":
      throw new MeshError(
        "unsupported",
        `Cannot answer "${question.ask}" on node "${parts.node}": it is a question for the apiserver`,
      );
  }
}

function countFlows(
  parts: AnswerParts,
  { service, peer }: Extract<Question, { ask: "flows" }>,
): Promise<FlowsAnswer> {
  const clusterId = parts.clusterId(peer);
  if (clusterId !== undefined) return parts.countFlows({ service, clusterId });
  throw new MeshError(
    "not_found",
    `Cannot count flows to cluster "${peer}": node "${parts.node}" does not know it`,
  );
}
