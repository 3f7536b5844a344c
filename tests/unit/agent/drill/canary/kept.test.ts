// A kept connection on a fake network: opened, answered, hung, reset, replaced.
import { describe, expect, test } from "@jest/globals";
import {
  createKept,
  type Kept,
  type KeptConnection,
  type KeptEvents,
} from "../../../../../agent/drill/canary/kept.ts";

interface FakeConnection extends KeptConnection {
  readonly events: KeptEvents;
  readonly asked: number[];
  closed: boolean;
}

function setup(protocol: "tcp" | "udp" = "tcp"): { kept: Kept; opened: FakeConnection[] } {
  const opened: FakeConnection[] = [];
  let nowMs = 0;
  const kept = createKept({
    target: { protocol, host: "10.0.0.1", port: 1 },
    protocol: "echo",
    timeoutMs: 300,
    open(_target, events) {
      const asked: number[] = [];
      const connection: FakeConnection = {
        events,
        asked,
        closed: false,
        ask: (n) => void asked.push(n),
        close: () => void (connection.closed = true),
      };
      opened.push(connection);
      return connection;
    },
    nowMs: () => ++nowMs,
    changed: () => {},
  });
  return { kept, opened };
}

describe("createKept()", () => {
  test("asks an open connection and notes who answered first", () => {
    const { kept, opened } = setup();
    kept.tick(0);
    kept.tick(100);
    expect(opened[0]?.asked).toEqual([]);
    opened[0]?.events.opened();
    kept.tick(200);
    opened[0]?.events.answered("west/a");
    kept.tick(300);
    opened[0]?.events.answered("west/b");
    expect(opened[0]?.asked).toEqual([0, 1]);
    expect(kept.flows).toEqual([{ openedAtMs: 1, answer: "west/a", endedAtMs: -1, end: "" }]);
  });

  test("ends as hung after the time-out and is replaced", () => {
    const { kept, opened } = setup();
    kept.tick(0);
    opened[0]?.events.opened();
    for (let ms = 100; ms <= 500; ms += 100) kept.tick(ms);
    expect(kept.flows[0]).toMatchObject({ end: "hung", endedAtMs: 2 });
    expect(opened[0]?.closed).toBe(true);
    opened[0]?.events.ended("reset");
    expect(kept.flows[0]?.end).toBe("hung");
    kept.tick(600);
    expect(opened).toHaveLength(2);
  });

  test("is no flow until it is established: a failed call is not one that was reset", () => {
    const { kept, opened } = setup();
    kept.tick(0);
    opened[0]?.events.ended("reset");
    kept.tick(100);
    opened[1]?.events.opened();
    opened[1]?.events.ended("closed");
    expect(kept.flows.map(({ end }) => end)).toEqual(["closed"]);
  });

  test("takes UDP for established with its first answer", () => {
    const { kept, opened } = setup("udp");
    kept.tick(0);
    kept.tick(100);
    expect(kept.flows).toEqual([]);
    opened[0]?.events.answered("west/a");
    expect(kept.flows[0]).toMatchObject({ answer: "west/a", end: "" });
    kept.close();
    expect(opened[0]?.closed).toBe(true);
    expect(kept.flows[0]?.endedAtMs).toBe(-1);
  });
});
