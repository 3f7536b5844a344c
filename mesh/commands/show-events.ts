// How events are shown: those of one stream as it holds them, those of several streams as one: each
// event once, in the order of the tellers' clocks. A stream that cannot be read takes nothing away
// from the others.
import { isMeshError, messageFromError } from "../core/errors.ts";
import type { MeshEvent } from "../operations/event.ts";
import { styled, type Output, type OutputFormat } from "../terminal.ts";
import type { EventSource, ShownEvent } from "./event-sources.ts";

export interface NamedSource {
  /** Of the context. */
  readonly name: string;
  readonly source: EventSource;
}

export interface EventsView {
  readonly follow: boolean;
  /** At most so many of the past, the newest. */
  readonly limit: number;
  readonly format: OutputFormat;
  /** Of more than one stream; some of them may not have been reached at all. */
  readonly merged: boolean;
}

export interface EventsPlace {
  readonly output: Output;
  /** Hears of a stream that is lost while others go on. */
  readonly onLost: (name: string, error: unknown) => void;
  readonly signal: AbortSignal;
}

/** So many ids are remembered: what two clusters tell comes within seconds, not weeks. */
const IDS_MAX = 100_000;

/** With `follow` until the signal aborts. Rejects when no stream is left. */
export async function showEvents(
  sources: readonly NamedSource[],
  view: EventsView,
  { output, onLost, signal }: EventsPlace,
): Promise<void> {
  const seen = new RecentIds();
  const write = (event: ShownEvent): void => {
    if (seen.take(event.id)) output.write(formatEvent(event, view, output));
  };
  const past: ShownEvent[] = [];
  const readable = await whoeverCan(sources, { onLost, signal }, async ({ source }) => {
    past.push(...(await source.read(signal)));
  });
  const events = view.merged ? inOrder(past) : past;
  for (const event of events.slice(0, -view.limit)) seen.take(event.id);
  events.slice(-view.limit).forEach(write);
  if (!view.follow) return;
  await whoeverCan(readable, { onLost, signal }, async ({ source }) => {
    try {
      for await (const event of source.follow(signal)) write(event);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  });
}

/** Returns those for which it worked; throws the last failure if there are none. */
async function whoeverCan(
  sources: readonly NamedSource[],
  { onLost, signal }: Pick<EventsPlace, "onLost" | "signal">,
  work: (source: NamedSource) => Promise<void>,
): Promise<readonly NamedSource[]> {
  const failed = new Set<NamedSource>();
  await Promise.all(
    sources.map((one) =>
      work(one).catch((error: unknown) => {
        failed.add(one);
        if (signal.aborted || failed.size === sources.length) throw error;
        onLost(one.name, error);
      }),
    ),
  );
  return sources.filter((one) => !failed.has(one));
}

/** Each event once, by its teller's time. */
export function inOrder(events: readonly ShownEvent[]): ShownEvent[] {
  const byId = new Map(events.map((event) => [event.id, event]));
  return [...byId.values()].sort((a, b) => a.timeMs - b.timeMs || (a.id < b.id ? -1 : 1));
}

/** One line. Times are those of who tells, in this machine's words for them. */
export function formatEvent(
  event: ShownEvent,
  { format, merged }: Pick<EventsView, "format" | "merged">,
  output: Output,
): string {
  if (format === "json") return `${JSON.stringify(merged ? withoutSequence(event) : event)}\n`;
  const { timeMs, severity, cluster, node, kind, subject, from, to, text } = event;
  const time = new Date(timeMs).toISOString().slice(0, 19).replace("T", " ");
  const style = severity === "error" ? "red" : severity === "warning" ? "yellow" : "dim";
  const level = styled(output, style, severity.padEnd(7));
  const who = `${cluster}/${node}`.padEnd(20);
  const change = from === "" && to === "" ? "" : ` (${from === "" ? "?" : from} → ${to})`;
  return `${time}  ${level}  ${who}  ${kind.padEnd(14)}  ${subject}: ${text}${change}\n`;
}

/** It counts in one stream, and nobody could say in which. */
function withoutSequence(event: ShownEvent): MeshEvent {
  const { sequence: _, ...told } = event;
  return told;
}

/** Why a stream is left out, in one line. */
export function describeLost(name: string, error: unknown): string {
  const reason = isMeshError(error) ? error.message : messageFromError(error);
  return `events: what the cluster of ${name} holds is not shown: ${reason}\n`;
}

class RecentIds {
  readonly #ids = new Set<string>();

  /** Whether it is new. */
  take(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > IDS_MAX) {
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest);
        break;
      }
    }
    return true;
  }
}
