// What is wrong with objects now: for status, as Events on the objects, and in the log, each new
// thing once.
import type { Logger } from "../../mesh/core/logger.ts";
import { apiObjectKey } from "../../mesh/kubernetes/watch-state.ts";
import type { EventRecorder } from "../source/kubernetes/event-recorder.ts";
import type { SourceProblem } from "../source/objects.ts";
import type { ObjectProblem } from "./desired-files.ts";

export interface ProblemBook {
  /** All that is wrong now. */
  report(problems: readonly ObjectProblem[]): void;
  problems(): readonly SourceProblem[];
}

export function createProblemBook(options: {
  readonly namespace: string;
  readonly recorders: Readonly<
    Record<ObjectProblem["kind"], Pick<EventRecorder, "setProblems" | "forget">>
  >;
  readonly log: Logger;
}): ProblemBook {
  const { namespace, recorders, log } = options;
  let current: readonly ObjectProblem[] = [];

  const place = ({ kind, name }: ObjectProblem): string => `${kind} ${namespace}/${name}`;
  const same = (a: ObjectProblem, b: ObjectProblem): boolean =>
    place(a) === place(b) && a.message === b.message;

  return {
    report(problems) {
      for (const problem of problems) {
        if (problem.object !== undefined) {
          recorders[problem.kind].setProblems(problem.object, messagesOf(problem, problems));
        }
        if (current.some((known) => same(known, problem))) continue;
        log.warn("Object cannot be used", { object: place(problem), reason: problem.message });
      }
      for (const { kind, name, object } of current) {
        if (object === undefined) continue;
        if (problems.some((problem) => problem.kind === kind && problem.name === name)) continue;
        recorders[kind].forget(apiObjectKey(object));
      }
      current = problems;
    },
    problems: () =>
      current.map((problem) => ({
        file: "",
        line: 0,
        column: 0,
        severity: "error" as const,
        message: problem.message,
        object: place(problem),
      })),
  };
}

function messagesOf(of: ObjectProblem, problems: readonly ObjectProblem[]): string[] {
  return problems
    .filter(({ kind, name }) => kind === of.kind && name === of.name)
    .map(({ message }) => message);
}
