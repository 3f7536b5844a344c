import { describe, expect, test } from "@jest/globals";
import {
  formatEvent,
  parseEventsRequest,
  showEvents,
  type ShownEvent,
} from "../../../../mesh/commands/events.ts";
import { EVENTS_STREAM } from "../../../../mesh/operations/streams.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { createMemoryConnection, MemoryBroker } from "../../../fakes/operations.ts";

const EVENT: ShownEvent = {
  sequence: 7,
  id: "1",
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5),
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
const NO_COLOUR = { write: () => {}, colour: false };

describe("parseEventsRequest()", () => {
  test("has defaults, and takes every flag", () => {
    expect(parseEventsRequest({}, 0)).toMatchObject({
      follow: false,
      filter: "tombolo.events.*.*",
      limit: 100,
      sinceMs: undefined,
    });
    const all = { cluster: "east", kind: "drain", severity: "warning", since: "1h", limit: "5" };
    expect(parseEventsRequest({ ...all, follow: true, output: "json" }, 3_600_000)).toEqual({
      follow: true,
      filter: "tombolo.events.east.drain",
      severities: new Set(["warning", "error"]),
      sinceMs: 0,
      after: 0,
      limit: 5,
      format: "json",
    });
    expect(parseEventsRequest({ since: "7d" }, 7 * 86_400_000).sinceMs).toBe(0);
  });

  for (const values of [
    { kind: "x" },
    { severity: "x" },
    { since: "1 year" },
    { limit: "0" },
    { limit: "x" },
    { after: "-1" },
    { cluster: "*" },
    { output: "xml" },
  ]) {
    test(`refuses ${JSON.stringify(values)}`, () => {
      expect(() => parseEventsRequest(values, 0)).toThrow(/^Cannot use/);
    });
  }
});

describe("formatEvent()", () => {
  test("is a line for people or for machines", () => {
    expect(formatEvent(EVENT, { format: "table" }, NO_COLOUR)).toBe(
      "2026-01-02 03:04:05  warning  east/n1               drain           west: West is drained (? → drained)\n",
    );
    expect(JSON.parse(formatEvent(EVENT, { format: "json" }, NO_COLOUR))).toEqual(EVENT);
  });
});

describe("showEvents()", () => {
  test("shows the newest that are bad enough, and passes over what is no event", async () => {
    const broker = new MemoryBroker(createFakeClock());
    const connection = createMemoryConnection(broker);
    const end = new AbortController();
    const running = connection.run(end.signal);
    await connection.ready(end.signal);
    await connection.ensureStream(EVENTS_STREAM, end.signal);
    const { sequence: _, ...event } = EVENT;
    const tell = (id: string, change: object): void => {
      const data = JSON.stringify({ ...event, id, ...change });
      broker.store({ subject: "tombolo.events.east.drain", data, id });
    };
    tell("a", {});
    tell("b", {});
    tell("c", { severity: "info" });
    tell("d", { cluster: "west" });
    tell("e", { severity: "error" });
    const lines: string[] = [];
    const output = { write: (text: string) => void lines.push(text), colour: false };
    const request = parseEventsRequest({ severity: "warning", limit: "2", output: "json" }, 0);
    await showEvents(connection, request, { output, signal: end.signal });
    expect(lines.map((line) => (JSON.parse(line) as ShownEvent).id)).toEqual(["b", "e"]);
    end.abort();
    await running;
  });
});
