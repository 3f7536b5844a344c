// Events of several streams, shown as one.
import { describe, expect, test } from "@jest/globals";
import type { EventSource, ShownEvent } from "../../../../mesh/commands/event-sources.ts";
import {
  describeLost,
  formatEvent,
  inOrder,
  showEvents,
  type EventsView,
} from "../../../../mesh/commands/show-events.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
const NO_COLOUR = { write: () => {}, colour: false };
const LOST = new MeshError("unavailable", "Cannot read stream EVENTS: the connection is lost");

function event(id: string, seconds: number, sequence = 1): ShownEvent {
  return {
    sequence,
    id,
    timeMs: START + seconds * 1_000,
    cluster: "east",
    node: "n1",
    kind: "drain",
    severity: "warning",
    subject: "west",
    from: "",
    to: "drained",
    text: "West is drained",
    evidence: {},
  };
}

/** What is read, then what is followed; an error stands for a loss. */
function source(past: readonly ShownEvent[] | Error, later: readonly (ShownEvent | Error)[] = []) {
  const made: EventSource = {
    read: () => (past instanceof Error ? Promise.reject(past) : Promise.resolve([...past])),
    async *follow() {
      for (const one of later) {
        await Promise.resolve();
        if (one instanceof Error) throw one;
        yield one;
      }
    },
  };
  return made;
}

async function shown(sources: Record<string, EventSource>, view: Partial<EventsView> = {}) {
  const lines: string[] = [];
  const lost: string[] = [];
  const named = Object.entries(sources).map(([name, one]) => ({ name, source: one }));
  const merged = named.length > 1;
  await showEvents(
    named,
    { follow: false, limit: 100, format: "json", merged, ...view },
    {
      output: { write: (text: string) => void lines.push(text), colour: false },
      onLost: (name) => lost.push(name),
      signal: new AbortController().signal,
    },
  );
  const events = lines.map((line) => JSON.parse(line) as ShownEvent);
  return { ids: events.map(({ id }) => id), events, lost };
}

describe("formatEvent()", () => {
  test("is a line for people or for machines", () => {
    const one = event("1", 0);
    expect(formatEvent(one, { format: "table", merged: false }, NO_COLOUR)).toBe(
      "2026-01-02 03:04:05  warning  east/n1               drain           west: West is drained (? → drained)\n",
    );
    const json = formatEvent(one, { format: "json", merged: false }, NO_COLOUR);
    expect(JSON.parse(json)).toEqual(one);
  });

  test("names no number where there are several streams", () => {
    const json = formatEvent(event("1", 0), { format: "json", merged: true }, NO_COLOUR);
    expect(JSON.parse(json)).not.toHaveProperty("sequence");
  });
});

describe("inOrder()", () => {
  test("has each event once, by the time of its teller", () => {
    const events = [event("b", 2), event("a", 1), event("b", 2, 9), event("c", 1)];
    expect(inOrder(events).map(({ id }) => id)).toEqual(["a", "c", "b"]);
  });
});

describe("showEvents()", () => {
  test("shows one stream as it stands there, the newest", async () => {
    const east = source([event("a", 3), event("b", 2), event("c", 1)]);
    expect((await shown({ east }, { limit: 2 })).ids).toEqual(["b", "c"]);
  });

  test("shows several as one, and what comes later once, too", async () => {
    const east = source([event("a", 1), event("c", 3)], [event("d", 4), event("a", 1)]);
    const west = source([event("b", 2), event("c", 3)], [event("d", 4), event("e", 5)]);
    const { ids, lost } = await shown({ east, west }, { follow: true, limit: 2 });
    expect(ids).toEqual(["b", "c", "d", "e"]);
    expect(lost).toEqual([]);
  });

  test("goes on without a stream that is lost, and ends when none is left", async () => {
    const east = source([event("a", 1)], [event("c", 3)]);
    expect(await shown({ east, west: source(LOST) })).toMatchObject({ ids: ["a"], lost: ["west"] });
    await expect(shown({ east: source(LOST), west: source(LOST) })).rejects.toBe(LOST);
    const dying = source([], [LOST]);
    const followed = await shown({ east, west: dying }, { follow: true });
    expect(followed).toMatchObject({ ids: ["a", "c"], lost: ["west"] });
    await expect(shown({ west: dying }, { follow: true })).rejects.toBe(LOST);
  });
});

describe("describeLost()", () => {
  test("is a line that names the context", () => {
    expect(describeLost("west", LOST)).toBe(
      "events: what the cluster of west holds is not shown: Cannot read stream EVENTS: the connection is lost\n",
    );
  });
});
