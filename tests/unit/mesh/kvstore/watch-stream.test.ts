// Many watches on one stream, driven by hand.
import { describe, expect, test } from "@jest/globals";
import { isMeshError } from "../../../../mesh/core/errors.ts";
import { EtcdWitness } from "../../../../mesh/kvstore/etcd-pin.ts";
import {
  createWatchStream,
  type WatchEnd,
  type WatchSignal,
} from "../../../../mesh/kvstore/watch-stream.ts";
import { createFakeConnection, header, type FakeStream } from "../../../fakes/etcd-connection.ts";
import { eventually } from "../../../fakes/eventually.ts";

interface Subscription {
  readonly signals: WatchSignal[];
  end: WatchEnd | undefined;
  error: unknown;
  readonly abort: () => void;
}

function harness() {
  const witness = new EtcdWitness();
  const connection = createFakeConnection(() => ({ header: header(5), kvs: [] }));
  const watches = createWatchStream({ connection, witness });

  function subscribe(prefix: string, hold?: Promise<void>): Subscription {
    const abort = new AbortController();
    const subscription: Subscription = {
      signals: [],
      end: undefined,
      error: undefined,
      abort: () => abort.abort(),
    };
    const target = { prefix, maxKeys: 100 };
    const running = watches.subscribe({ target, startRevision: 6n, epoch: 0 }, abort.signal);
    void (async () => {
      try {
        for (;;) {
          const next = await running.next();
          if (next.done) {
            subscription.end = next.value;
            return;
          }
          subscription.signals.push(next.value);
          await hold;
        }
      } catch (error) {
        subscription.error = error;
      }
    })();
    return subscription;
  }

  const stream = (): Promise<FakeStream> =>
    eventually(() => connection.streams.at(-1)?.written.length !== 0 && connection.streams.at(-1));
  return { connection, witness, watches, subscribe, stream };
}

const plain = {
  created: false,
  canceled: false,
  compact_revision: "0",
  cancel_reason: "",
  events: [],
};
const created = (id: number): object => ({
  ...plain,
  header: header(5),
  watch_id: String(id),
  created: true,
});
const put = (id: number, key: string, bytes = 1): object => ({
  ...plain,
  header: header(7),
  watch_id: String(id),
  events: [
    { type: "Put", kv: { key: Buffer.from(key), value: Buffer.alloc(bytes), mod_revision: "6" } },
  ],
});

describe("createWatchStream()", () => {
  test("opens one stream for all and tells responses apart by their ids", async () => {
    const { connection, subscribe, stream } = harness();
    const [a, b] = [subscribe("a/"), subscribe("b/")];
    const open = await stream();
    await eventually(() => open.written.length === 2);
    for (const message of [created(1), created(2), put(2, "b/x")]) open.send(message);
    await eventually(() => b.signals.length === 2 && a.signals.length === 1);
    expect(connection.streams).toHaveLength(1);
    expect(b.signals[1]).toMatchObject({ kind: "events", events: [{ key: "b/x", revision: 6n }] });
  });

  test("ends a watch whose history is compacted, and only that one", async () => {
    const { subscribe, stream } = harness();
    const [a, b] = [subscribe("a/"), subscribe("b/")];
    const open = await stream();
    await eventually(() => open.written.length === 2);
    open.send(created(1));
    open.send({
      ...plain,
      header: header(9),
      watch_id: "1",
      canceled: true,
      compact_revision: "8",
    });
    await eventually(() => a.end === "compacted");
    expect(b.end).toBeUndefined();
  });

  test("gives a refusal without id to the watch that was asked for first", async () => {
    const { subscribe, stream } = harness();
    const [a, b] = [subscribe("a/"), subscribe("b/")];
    const open = await stream();
    await eventually(() => open.written.length === 2);
    open.send({
      ...(created(-1) as typeof plain),
      canceled: true,
      cancel_reason: "etcdserver: permission denied",
    });
    await eventually(() => a.error);
    expect(isMeshError(a.error, "permission_denied")).toBe(true);
    expect(b.error).toBeUndefined();
  });

  test("cancels the watch of a slow reader when its buffer is full, and delivers what it took", async () => {
    const { subscribe, stream } = harness();
    let release = (): void => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = subscribe("a/", hold);
    const open = await stream();
    open.send(created(1));
    await eventually(() => slow.signals.length === 1);
    for (let i = 0; i < 10; i++) open.send(put(1, `a/${i}`, 1_000_000));
    await eventually(() =>
      open.written.some((message) => JSON.stringify(message).includes("cancel")),
    );
    expect(slow.end).toBeUndefined();
    release();
    await eventually(() => slow.end === "lagging");
    expect(slow.signals.length).toBeLessThan(7);
  });

  test("takes one response whatever its size", async () => {
    const { subscribe, stream } = harness();
    const a = subscribe("a/");
    const open = await stream();
    open.send(created(1));
    await eventually(() => a.signals.length === 1);
    open.send(put(1, "a/x", 10_000_000));
    await eventually(() => a.signals.length === 2);
  });

  test("rejects every watch when the stream breaks, and opens another for the next", async () => {
    const { connection, subscribe, stream } = harness();
    const a = subscribe("a/");
    const open = await stream();
    open.fail(new Error("gone"));
    await eventually(() => a.error);
    expect(open.cancelled).toBe(true);
    subscribe("b/");
    await eventually(() => connection.streams.length === 2);
  });

  test("rejects with cluster_changed when the last known write is not there any more", async () => {
    const { witness, subscribe } = harness();
    witness.sawWrite("a/x", 5n);
    const a = subscribe("a/");
    await eventually(() => a.error);
    expect(isMeshError(a.error, "cluster_changed")).toBe(true);
    expect(witness.epoch).toBe(1);
  });

  test("ends when the reader aborts, and tells etcd", async () => {
    const { subscribe, stream } = harness();
    const a = subscribe("a/");
    const open = await stream();
    open.send(created(1));
    await eventually(() => a.signals.length === 1);
    a.abort();
    await eventually(() => a.end === "aborted");
    expect(open.written.at(-1)).toEqual({ cancel_request: { watch_id: "1" } });
  });
});
