import { describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../../mesh/core/errors.ts";
import {
  createJsonLogger,
  silentLogger,
  type Logger,
  type LogLevel,
} from "../../../../mesh/core/logger.ts";

function capture(level?: LogLevel): { log: Logger; lines: unknown[] } {
  const lines: unknown[] = [];
  const log = createJsonLogger({
    write: (line) => {
      expect(line.endsWith("\n")).toBe(true);
      lines.push(JSON.parse(line));
    },
    nowMs: () => Date.UTC(2026, 0, 31, 12),
    ...(level === undefined ? {} : { level }),
  });
  return { log, lines };
}

describe("createJsonLogger()", () => {
  test("writes one object a line: time, level, message, fields", () => {
    const { log, lines } = capture();
    log.info("Remote cluster ready", { cluster: "west", records: 3n });
    expect(lines).toEqual([
      {
        time: "2026-01-31T12:00:00.000Z",
        level: "info",
        message: "Remote cluster ready",
        cluster: "west",
        records: "3",
      },
    ]);
  });

  for (const [level, count] of [
    [undefined, 3],
    ["debug", 4],
    ["warn", 2],
    ["error", 1],
  ] as const) {
    test(`writes ${count} of four levels at ${level ?? "the default"}`, () => {
      const { log, lines } = capture(level);
      log.debug("d");
      log.info("i");
      log.warn("w");
      log.error("e");
      expect(lines).toHaveLength(count);
    });
  }

  test("with() adds fields to every line of the child, the nearest ones winning", () => {
    const { log, lines } = capture();
    const child = log.with({ cluster: "west", kind: "nodes" });
    child.info("Watching", { kind: "services" });
    log.info("Elsewhere");
    expect(lines).toMatchObject([{ cluster: "west", kind: "services" }, { message: "Elsewhere" }]);
    expect(lines[1]).not.toHaveProperty("cluster");
  });

  test("writes an error as its code and its chain of messages", () => {
    const { log, lines } = capture();
    const error = new MeshError("unavailable", "Cannot read nodes", { cause: new Error("reset") });
    log.warn("Trying again", { error });
    expect(lines).toMatchObject([
      { error: { error: "Cannot read nodes", code: "unavailable", cause: { error: "reset" } } },
    ]);
  });

  test("lets no field take the place of the line's own", () => {
    const { log, lines } = capture();
    log.info("Real", { message: "forged", level: "error", time: "never" });
    expect(lines).toMatchObject([{ message: "Real", level: "info" }]);
  });

  test("writes the line also when a field cannot be written", () => {
    const { log, lines } = capture();
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    log.info("Still here", { circle });
    expect(lines).toMatchObject([{ message: "Still here", level: "info" }]);
  });
});

describe("silentLogger", () => {
  test("says nothing, nor do its children", () => {
    const child = silentLogger.with({ a: 1 });
    for (const log of [silentLogger, child]) {
      log.debug("x");
      log.info("x");
      log.warn("x");
      log.error("x");
    }
    expect(child).toBe(silentLogger);
  });
});
