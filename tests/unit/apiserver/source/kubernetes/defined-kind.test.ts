import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createDefinedKind } from "../../../../../apiserver/source/kubernetes/defined-kind.ts";
import { silentLogger } from "../../../../../mesh/core/logger.ts";
import type { KubernetesTransport } from "../../../../../mesh/kubernetes/transport.ts";
import type { WatchLoop } from "../../../../../mesh/kubernetes/watch-loop.ts";
import { createFakeClock, type FakeClock } from "../../../../fakes/clock.ts";

const COUNTS = { lists: 0, expired: 0, doubts: 0, silent: 0 };
let clock: FakeClock;
/** Of the definition's answer. */
let status: number;
let undefinedCalls: number;
/** Asks for the path, as a loop does before every list; undefined while no loop runs. */
let ask: (() => Promise<string>) | undefined;
let kind: WatchLoop;
/** The first question comes at once. */
let start: (status: number) => Promise<void>;
let stop: () => Promise<void>;

beforeEach(() => {
  clock = createFakeClock();
  undefinedCalls = 0;
  ask = undefined;
  const transport: KubernetesTransport = {
    server: "https://fake",
    send: ({ path }) => {
      expect(path).toBe("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a.b");
      return Promise.resolve({ status, body: oneChunk('{"metadata":{"name":"a.b"}}') });
    },
  };
  kind = createDefinedKind({
    definition: "a.b",
    transport,
    path: () => Promise.resolve("/apis/b/v1/a"),
    createLoop: (path) => ({
      run: (signal) =>
        new Promise((resolve) => {
          ask = () => path(signal);
          const end = (): void => {
            ask = undefined;
            resolve();
          };
          signal.addEventListener("abort", end, { once: true });
        }),
      problem: () => "of the loop",
      counts: () => COUNTS,
    }),
    undefined: () => undefinedCalls++,
    maxBackoffMs: 2_000,
    clock,
    random: () => 0.5,
    log: silentLogger,
  });
  const abort = new AbortController();
  let running = Promise.resolve();
  start = async (first) => {
    status = first;
    running = kind.run(abort.signal);
    await clock.settle();
  };
  stop = async () => {
    abort.abort();
    await running;
  };
});
afterEach(() => stop());

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

describe("createDefinedKind()", () => {
  test("waits for the definition, and says that there is nothing until then", async () => {
    await start(404);
    expect(undefinedCalls).toBe(1);
    expect(kind.problem()).toBe("");
    expect(ask).toBeUndefined();
    status = 200;
    await clock.advance(10_000);
    await expect(ask?.()).resolves.toBe("/apis/b/v1/a");
    expect(kind.problem()).toBe("of the loop");
    expect(kind.counts()).toBe(COUNTS);
  });

  test("ends the loop when the definition is gone, and begins again", async () => {
    await start(200);
    const asked = ask;
    status = 404;
    await expect(asked?.()).rejects.toThrow('"a.b" is not defined any more');
    await clock.settle();
    expect(undefinedCalls).toBe(1);
    expect(ask).toBeUndefined();
    status = 200;
    await clock.advance(10_000);
    expect(ask).toBeDefined();
  });

  test("takes no other answer for the absence of the definition", async () => {
    await start(503);
    await clock.advance(60_000);
    expect(undefinedCalls).toBe(0);
    expect(kind.problem()).toContain("Cannot read /apis/apiextensions.k8s.io");
    expect(ask).toBeUndefined();
  });
});
