// Events out of one stream, over a connection and out of a pod.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  connectionEvents,
  podEvents,
  type EventSource,
} from "../../../../mesh/commands/event-sources.ts";
import type { OperationsConnection } from "../../../../mesh/operations/connection.ts";
import { EVENTS_STREAM } from "../../../../mesh/operations/streams.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { createMemoryConnection, MemoryBroker } from "../../../fakes/operations.ts";

const EVENT = {
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
const never = new AbortController().signal;

async function firstOf(source: EventSource, signal: AbortSignal): Promise<string | undefined> {
  for await (const { id } of source.follow(signal)) return id;
  return undefined;
}

describe("connectionEvents()", () => {
  const broker = new MemoryBroker(createFakeClock());
  let connection: OperationsConnection;
  let end: AbortController;
  let running: Promise<void>;

  beforeEach(async () => {
    connection = createMemoryConnection(broker);
    end = new AbortController();
    running = connection.run(end.signal);
    await connection.ready(end.signal);
    await connection.ensureStream(EVENTS_STREAM, end.signal);
  });
  afterEach(async () => {
    end.abort();
    await running;
  });

  function tell(id: string, change: object): void {
    const data = JSON.stringify({ ...EVENT, id, ...change });
    broker.store({ subject: "tombolo.events.east.drain", data, id });
  }

  test("are those that are bad enough; what is no event of its teller is passed over", async () => {
    const selection = { filter: "tombolo.events.*.*", sinceMs: undefined, after: 1 };
    const severities = new Set(["warning", "error"]);
    tell("a", {});
    tell("b", {});
    tell("c", { severity: "info" });
    tell("d", { cluster: "west" });
    tell("e", { severity: "error" });
    const source = connectionEvents(connection, { ...selection, severities });
    const read = await source.read(never);
    expect(read.map(({ id, sequence }) => [id, sequence])).toEqual([
      ["b", 2],
      ["e", 5],
    ]);
    const next = firstOf(source, end.signal);
    tell("f", { severity: "info" });
    tell("g", {});
    expect(await next).toBe("g");
  });
});

describe("podEvents()", () => {
  const asked: string[][] = [];
  let sequence = 0;
  const answer = (): string =>
    `${JSON.stringify({ ...EVENT, id: String(++sequence), sequence })}\n`;

  test("asks again behind what it knows", async () => {
    const clock = createFakeClock();
    const pod = (words: readonly string[]) => {
      asked.push([...words]);
      return Promise.resolve({ status: 0, stdout: answer() + answer(), stderr: "" });
    };
    const source = podEvents(pod, { words: ["--limit", "5"], after: 0, clock });
    expect((await source.read(never)).map(({ id }) => id)).toEqual(["1", "2"]);
    const next = firstOf(source, never);
    await clock.advance(2_000);
    expect(await next).toBe("3");
    expect(asked).toEqual([
      ["events", "--limit", "5", "--output", "json"],
      ["events", "--limit", "5", "--after", "2", "--output", "json"],
    ]);
  });

  test("says what the pod said", async () => {
    const stderr = "mesh: error: Cannot connect to NATS\nmesh: hint: look at it\n";
    const pod = () => Promise.resolve({ status: 1, stdout: "", stderr });
    const source = podEvents(pod, { words: [], after: 0, clock: createFakeClock() });
    await expect(source.read(never)).rejects.toMatchObject({
      code: "unavailable",
      message: "Cannot connect to NATS",
      hint: "look at it",
    });
  });
});
