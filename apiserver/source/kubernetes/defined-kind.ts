// Follows a kind that somebody has to define first. Whether it is defined is asked of its
// CustomResourceDefinition, and not told by a 404 of its objects: a server that has just started
// answers that too, and policies must not be taken for deleted then.
import { createBackoff } from "../../../mesh/core/backoff.ts";
import { withTimeout, type Clock } from "../../../mesh/core/clock.ts";
import { messageFromError, MeshError } from "../../../mesh/core/errors.ts";
import type { Logger } from "../../../mesh/core/logger.ts";
import { readObject } from "../../../mesh/kubernetes/objects.ts";
import type { KubernetesTransport } from "../../../mesh/kubernetes/transport.ts";
import type { WatchLoop } from "../../../mesh/kubernetes/watch-loop.ts";

export interface DefinedKindOptions {
  /** Of the CustomResourceDefinition. */
  readonly definition: string;
  readonly transport: KubernetesTransport;
  /** Where the kind's objects are, once it is defined. */
  readonly path: (signal: AbortSignal) => Promise<string>;
  /** Makes the loop that follows the objects; it is given `path` with the question before it. */
  readonly createLoop: (path: (signal: AbortSignal) => Promise<string>) => WatchLoop;
  /** There is no such kind, so there are no objects of it. */
  readonly undefined: () => void;
  /** The longest pause between two questions whether the kind is defined, while they fail. */
  readonly maxBackoffMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** Somebody who installs the kind finds it enforced about this much later. */
const LOOK_AGAIN_MS = 10_000;
/** A server that may be busy is given as long as for a page of objects. */
const ANSWER_MS = 60_000;
const MIN_BACKOFF_MS = 200;
const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

export function createDefinedKind(options: DefinedKindOptions): WatchLoop {
  const { definition, transport, clock, random, log } = options;
  const backoff = createBackoff({ baseMs: MIN_BACKOFF_MS, capMs: options.maxBackoffMs, random });
  let problem = "";
  let isDefined = false;
  let leave = (): void => {};

  const loop = options.createLoop(async (signal) => {
    if (await ask(signal)) return options.path(signal);
    leave();
    throw new MeshError(
      "not_found",
      `Cannot list objects: "${definition}" is not defined any more`,
    );
  });

  async function ask(signal: AbortSignal): Promise<boolean> {
    const path = `${DEFINITIONS}/${definition}`;
    const limit = { ms: ANSWER_MS, what: `Cannot read ${path}`, clock, signal };
    const found = await withTimeout((inner) => readObject(transport, path, inner), limit);
    return found !== undefined;
  }

  /** Resolves once the kind is defined. */
  async function awaitDefinition(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        isDefined = await ask(signal);
        problem = "";
        backoff.reset();
      } catch (error) {
        if (signal.aborted) throw error;
        const before = problem;
        problem = messageFromError(error);
        if (problem !== before) {
          log.warn("Definition of a kind cannot be read", { definition, reason: problem });
        }
        await clock.sleep(backoff.nextMs(), signal);
        continue;
      }
      if (isDefined) return;
      options.undefined();
      await clock.sleep(LOOK_AGAIN_MS, signal);
    }
  }

  async function follow(signal: AbortSignal): Promise<void> {
    const end = new AbortController();
    leave = () => {
      isDefined = false;
      end.abort();
    };
    await loop.run(AbortSignal.any([signal, end.signal]));
  }

  return {
    async run(signal) {
      while (!signal.aborted) {
        try {
          await awaitDefinition(signal);
          await follow(signal);
        } catch (error) {
          if (!signal.aborted) throw error; // Only waits are cut short by the end.
        }
      }
    },
    problem: () => (isDefined ? loop.problem() : problem),
    counts: () => loop.counts(),
  };
}
