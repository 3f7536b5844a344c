import { describe, expect, test } from "@jest/globals";
import { silentLogger, type Logger } from "../../../../mesh/core/logger.ts";
import type { OutgoingMessage } from "../../../../mesh/operations/connection.ts";
import { createEventSink } from "../../../../mesh/operations/event-sink.ts";
import type { EventSink } from "../../../../mesh/operations/event.ts";
import { parseEvent } from "../../../../mesh/operations/parse-event.ts";

const SAID: Parameters<EventSink["emit"]>[0] = {
  kind: "drain",
  severity: "warning",
  subject: "west",
  from: "",
  to: "drained",
  text: "West is drained",
  evidence: { percent: 100 },
};

describe("createEventSink()", () => {
  const logged: string[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (message) => logged.push(`warn ${message}`),
    error: (message) => logged.push(`error ${message}`),
  };
  const base = { cluster: "east", node: "n1", clock: { nowMs: () => 7 }, newId: () => "id", log };

  test("completes an event, logs it and publishes it under its subject", () => {
    const published: OutgoingMessage[] = [];
    const connection = { publish: (message: OutgoingMessage) => void published.push(message) };
    createEventSink({ ...base, connection }).emit(SAID);
    const [{ subject, data, id } = { subject: "", data: "", id: "" }] = published;
    expect([subject, id, published.length]).toEqual(["tombolo.events.east.drain", "id", 1]);
    expect(parseEvent({ subject, data: Buffer.from(data) })).toEqual({
      ...SAID,
      id: "id",
      timeMs: 7,
      cluster: "east",
      node: "n1",
    });
    expect(logged.splice(0)).toEqual(["warn Event"]);
  });

  test("only logs without a connection, and never sends what is too long", () => {
    createEventSink({ ...base, connection: undefined }).emit(SAID);
    expect(logged.splice(0)).toEqual(["warn Event"]);
    const connection = { publish: () => logged.push("published") };
    createEventSink({ ...base, connection }).emit({ ...SAID, text: "x".repeat(20_000) });
    expect(logged.splice(0)).toEqual(["warn Event", "error Event is too long to be told"]);
  });
});
