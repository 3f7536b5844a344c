// Where `mesh events` has events from: the stream of one cluster, read over a connection, or by the
// same command in the apiserver's container of a Kubernetes cluster.
import type { Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type {
  OperationsConnection,
  StoredMessage,
  StreamSelection,
} from "../operations/connection.ts";
import type { MeshEvent } from "../operations/event.ts";
import { parseEvent } from "../operations/parse-event.ts";
import { EVENTS_STREAM } from "../operations/streams.ts";
import type { PodCommand } from "./open-operations.ts";

/** An event and where it stands in the stream that it was read from. */
export interface ShownEvent extends MeshEvent {
  readonly sequence: number;
}

export interface EventSelection {
  /** The subjects of NATS. */
  readonly filter: string;
  readonly severities: ReadonlySet<string>;
  readonly sinceMs: number | undefined;
  /** Only what stands behind this number. */
  readonly after: number;
}

export interface EventSource {
  /** What the stream holds now, in its order. */
  read(signal: AbortSignal): Promise<ShownEvent[]>;
  /** After `read`: what came since, until the signal aborts. Ends with an error when it is lost. */
  follow(signal: AbortSignal): AsyncIterable<ShownEvent>;
}

/** How often the pod of a Kubernetes cluster is asked what is new. */
const POD_LOOK_MS = 2_000;

export function connectionEvents(
  connection: Pick<OperationsConnection, "read" | "follow">,
  { filter, severities, sinceMs, after }: EventSelection,
): EventSource {
  const selection: StreamSelection = { filter, ...(sinceMs === undefined ? {} : { sinceMs }) };
  let known = after;
  const wanted = (message: StoredMessage): ShownEvent[] =>
    message.sequence <= known
      ? []
      : eventFrom(message).filter(({ severity }) => severities.has(severity));
  return {
    async read(signal) {
      const stored = await connection.read(EVENTS_STREAM.name, selection, signal);
      const events = stored.flatMap(wanted);
      known = Math.max(known, stored.at(-1)?.sequence ?? 0);
      return events;
    },
    async *follow(signal) {
      for await (const message of connection.follow(EVENTS_STREAM.name, selection, signal)) {
        yield* wanted(message);
      }
    },
  };
}

/** `words` are the flags that select; following is asking again and again. */
export function podEvents(
  pod: PodCommand,
  options: { readonly words: readonly string[]; readonly after: number; readonly clock: Clock },
): EventSource {
  let { after } = options;
  const read = async (): Promise<ShownEvent[]> => {
    const place = after === 0 ? [] : ["--after", String(after)];
    const result = await pod(["events", ...options.words, ...place, "--output", "json"]);
    if (result.status !== 0) throw refusal(result.stderr);
    const lines = result.stdout.split("\n").filter((text) => text !== "");
    const events = lines.map((line) => JSON.parse(line) as ShownEvent);
    after = Math.max(after, ...events.map(({ sequence }) => sequence));
    return events;
  };
  return {
    read,
    async *follow(signal) {
      for (;;) {
        await options.clock.sleep(POD_LOOK_MS, signal);
        yield* await read();
      }
    },
  };
}

/** What the pod's `mesh` said, in our own words for an error. */
function refusal(stderr: string): MeshError {
  const [said = "", second = ""] = stderr.trim().split("\n");
  const hint = /^mesh: hint: (.*)/.exec(second)?.[1];
  const message = said.replace(/^mesh: error: /, "") || "Cannot read the events in the pod";
  return new MeshError("unavailable", message, hint === undefined ? {} : { hint });
}

/** What cannot be used is passed over: a peer may have written it. */
function eventFrom(message: StoredMessage): ShownEvent[] {
  try {
    return [{ sequence: message.sequence, ...parseEvent(message) }];
  } catch (error) {
    if (isMeshError(error, "invalid_argument")) return [];
    throw error;
  }
}
