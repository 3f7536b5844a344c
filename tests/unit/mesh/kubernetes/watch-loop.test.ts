import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createWatchLoop, type WatchLoop } from "../../../../mesh/kubernetes/watch-loop.ts";
import type { WatchChange } from "../../../../mesh/kubernetes/watch-state.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import { createFakeTransport, type FakeTransport } from "../../../fakes/kubernetes-transport.ts";

/** Longer than any watch is left alone. */
const LONGEST_WATCH_MS = 261_000;
/** Longer than any back-off. */
const LONGEST_BACKOFF_MS = 30_000;

let clock: FakeClock;
let transport: FakeTransport;
let loop: WatchLoop;
let changes: WatchChange[];
let path: string;
let stop: () => Promise<void>;

beforeEach(() => {
  clock = createFakeClock();
  transport = createFakeTransport();
  changes = [];
  path = "/api/v1/pods";
  loop = createWatchLoop({
    transport,
    path: async () => path,
    apply: (change) => changes.push(change),
    clock,
    random: () => 0.5,
    log: silentLogger,
  });
  const abort = new AbortController();
  const running = loop.run(abort.signal);
  stop = async () => {
    abort.abort();
    await running;
  };
});
afterEach(() => stop());

const object = (name: string, resourceVersion: string): object => ({
  metadata: { name, resourceVersion },
});
const list = (resourceVersion: string, names: readonly string[] = [], token = ""): object => ({
  metadata: { resourceVersion, continue: token },
  items: names.map((name) => object(name, resourceVersion)),
});
const event = (type: string, name: string, resourceVersion: string): object => ({
  type,
  object: object(name, resourceVersion),
});
const bookmark = (resourceVersion: string): object => ({
  type: "BOOKMARK",
  object: { metadata: { resourceVersion } },
});
const EXPIRED = { kind: "Status", code: 410, message: "too old resource version" };

const asked = (): Record<string, string> =>
  Object.fromEntries(transport.requests.at(-1)?.query ?? []);
const kinds = (): string[] => changes.map(({ kind }) => kind);

describe("createWatchLoop()", () => {
  test("lists in pages at one version, then watches from it with bookmarks and an end", async () => {
    transport.answer(200, list("10", ["a"], "next"));
    transport.answer(200, list("10", ["b"]));
    transport.answerWatch();
    await clock.settle();
    expect(kinds()).toEqual(["put", "put", "retain"]);
    expect(transport.requests.map(({ query }) => query.get("continue"))).toEqual([
      null,
      "next",
      null,
    ]);
    expect(asked()).toEqual({
      watch: "1",
      allowWatchBookmarks: "true",
      resourceVersion: "10",
      timeoutSeconds: "180",
    });
  });

  test("asks for the same page again when the server restarts in the middle of a list", async () => {
    transport.answer(200, list("10", ["a"], "next"));
    transport.fail();
    transport.answer(200, list("10", ["b"]));
    transport.answerWatch();
    await clock.settle();
    expect(loop.problem()).toContain("Cannot reach the API server");
    expect(kinds()).toEqual(["put"]);
    await clock.advance(LONGEST_BACKOFF_MS);
    expect(changes.at(-1)).toEqual({ kind: "retain", keys: new Set(["a", "b"]) });
    expect(transport.requests[2]?.query.get("continue")).toBe("next");
    expect(loop.problem()).toBe("");
  });

  test("begins the list again when the rest of it has expired", async () => {
    transport.answer(200, list("10", ["a"], "next"));
    transport.answer(410, EXPIRED);
    transport.answer(200, list("20", ["b"]));
    transport.answerWatch();
    await clock.settle();
    await clock.advance(LONGEST_BACKOFF_MS);
    expect(changes.at(-1)).toEqual({ kind: "retain", keys: new Set(["b"]) });
    expect(transport.requests[2]?.query.get("limit")).toBe("5000");
  });

  test("resumes from the last event or bookmark when the server ends the watch", async () => {
    transport.answer(200, list("10"));
    const watch = transport.answerWatch();
    await clock.settle();
    watch.send(event("ADDED", "a", "11"), bookmark("17"));
    transport.answer(200, list("17"));
    watch.end();
    await clock.settle();
    expect(asked()).toMatchObject({ watch: "1", resourceVersion: "17" });
    expect(clock.monotonicMs()).toBe(0);
  });

  test("resumes after a cut connection, with a pause", async () => {
    transport.answer(200, list("10"));
    const watch = transport.answerWatch();
    await clock.settle();
    watch.send(event("ADDED", "a", "11"));
    watch.cut();
    await clock.settle();
    expect(transport.requests).toHaveLength(2);
    expect(loop.problem()).toContain("cut off");
    transport.answer(200, list("11"));
    transport.answerWatch();
    await clock.advance(LONGEST_BACKOFF_MS);
    expect(asked()).toMatchObject({ watch: "1", resourceVersion: "11" });
    // The watch is taken; that nothing happens on it is no problem.
    expect(loop.problem()).toBe("");
  });

  for (const how of ["status", "event"] as const) {
    test(`lists again when the version is gone, told by ${how}`, async () => {
      transport.answer(200, list("10", ["a", "b"]));
      if (how === "status") transport.answer(410, EXPIRED);
      else transport.answerWatch().send({ type: "ERROR", object: EXPIRED });
      await clock.settle();
      transport.answer(200, list("30", ["b"]));
      await clock.advance(LONGEST_BACKOFF_MS);
      expect(changes.at(-1)).toEqual({ kind: "retain", keys: new Set(["b"]) });
      expect(asked()).toMatchObject({ watch: "1", resourceVersion: "30" });
    });
  }

  test("gives up a watch that is silent beyond the server's own end, and resumes it", async () => {
    transport.answer(200, list("10"));
    const silent = transport.answerWatch();
    await clock.settle();
    transport.answer(200, list("10"));
    transport.answerWatch();
    await clock.advance(LONGEST_WATCH_MS);
    expect(silent.aborted).toBe(true);
    expect(loop.counts().silent).toBe(1);
    expect(transport.requests).toHaveLength(4);
    expect(asked()).toMatchObject({ watch: "1", resourceVersion: "10" });
    silent.send(event("ADDED", "late", "11"));
    await clock.settle();
    expect(kinds()).toEqual(["retain"]);
  });

  test("gives up a watch that the server does not take", async () => {
    transport.answer(200, list("10"));
    await clock.settle();
    expect(asked()).toMatchObject({ watch: "1" });
    await clock.advance(60_000);
    expect(loop.problem()).toContain("Cannot begin to watch: no answer in 60000 ms");
    transport.answer(200, list("10"));
    transport.answerWatch();
    await clock.advance(LONGEST_BACKOFF_MS);
    expect(loop.problem()).toBe("");
  });

  test("lists again when the server comes back with versions from before ours", async () => {
    transport.answer(200, list("10", ["a", "b"]));
    const watch = transport.answerWatch();
    await clock.settle();
    watch.send(bookmark("50"));
    watch.cut();
    transport.answer(200, list("30"));
    transport.answer(200, list("30", ["a"]));
    await clock.advance(20_000);
    expect(changes.at(-1)).toEqual({ kind: "retain", keys: new Set(["a"]) });
    expect(asked()).toMatchObject({ watch: "1", resourceVersion: "30" });
    expect(loop.counts()).toEqual({ lists: 2, expired: 0, doubts: 1, silent: 0 });
  });

  test("lists again after a long outage, in which restored versions may have passed ours", async () => {
    transport.answer(200, list("10", ["a", "b"]));
    const watch = transport.answerWatch();
    await clock.settle();
    for (let i = 0; i < 10; i++) transport.fail();
    watch.cut();
    transport.answer(200, list("90", ["a"]));
    await clock.advance(120_000);
    expect(changes.at(-1)).toEqual({ kind: "retain", keys: new Set(["a"]) });
    expect(loop.counts().doubts).toBe(1);
  });

  test("lists again when the server has not heard of our version yet", async () => {
    transport.answer(200, list("10", ["a"]));
    transport.answer(504, {
      message: "Too large resource version",
      details: { causes: [{ reason: "ResourceVersionTooLarge" }] },
    });
    await clock.settle();
    transport.answer(200, list("5"));
    await clock.advance(LONGEST_BACKOFF_MS);
    expect(changes.at(-1)).toEqual({ kind: "retain", keys: new Set() });
  });

  test("begins a list anew whose rest is refused again and again", async () => {
    transport.answer(200, list("10", ["a"], "next"));
    for (let i = 0; i < 3; i++) transport.answer(500, { message: "a future revision" });
    transport.answer(200, list("5", ["b"]));
    await clock.advance(LONGEST_BACKOFF_MS);
    expect(changes.at(-1)).toEqual({ kind: "retain", keys: new Set(["b"]) });
    expect(transport.requests[4]?.query.get("continue")).toBeNull();
  });

  test("finds the kind again when a version of the API is not served any more", async () => {
    transport.answer(200, list("10"));
    transport.answer(404, { message: "not found" });
    path = "/apis/discovery.k8s.io/v1/endpointslices";
    await clock.settle();
    transport.answer(200, list("20"));
    await clock.advance(LONGEST_BACKOFF_MS);
    expect(transport.requests.at(-1)).toMatchObject({ path });
  });

  test("backs off further with each failure, and from the start after a success", async () => {
    const pauses: number[] = [];
    let lastMs = 0;
    for (let attempt = 0; attempt < 4; attempt++) {
      transport.fail();
      await clock.settle();
      const asked = transport.requests.length;
      while (transport.requests.length === asked) await clock.advance(10);
      pauses.push(clock.monotonicMs() - lastMs);
      lastMs = clock.monotonicMs();
    }
    expect(pauses).toEqual([150, 300, 600, 1_200]);
    transport.answer(200, list("10"));
    const watch = transport.answerWatch();
    await clock.settle();
    watch.cut();
    await clock.settle();
    await clock.advance(149);
    expect(transport.requests).toHaveLength(6);
    await clock.advance(1);
    expect(transport.requests).toHaveLength(7);
  });

  test("pauses no longer from cut to cut when the quiet watches in between have worked", async () => {
    transport.answer(200, list("10"));
    for (let cut = 1; cut <= 4; cut++) {
      const watch = transport.answerWatch();
      await clock.settle();
      await clock.advance(1_000);
      watch.cut();
      await clock.settle();
      const asked = transport.requests.length;
      transport.answer(200, list("10"));
      await clock.advance(149);
      expect(transport.requests).toHaveLength(asked);
      await clock.advance(1);
      expect(transport.requests.length).toBeGreaterThan(asked);
    }
  });

  test("does not turn a server that ends every watch at once into a busy loop", async () => {
    transport.answer(200, list("10"));
    for (let i = 0; i < 50; i++) {
      transport.answerWatch().end();
      transport.answer(200, list("10"));
    }
    await clock.settle();
    await clock.advance(10_000);
    expect(transport.requests.length).toBeLessThan(24);
  });

  test("tells what it is refused", async () => {
    transport.answer(403, { message: 'pods is forbidden: User "x" cannot list' });
    await clock.settle();
    expect(loop.problem()).toContain("answers 403, pods is forbidden");
  });
});
