// One timeline: what is delivered twice, in parts, or behind the header's back.
import { describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { EtcdWitness } from "../../../../mesh/kvstore/etcd-pin.ts";
import { watchTimeline } from "../../../../mesh/kvstore/etcd-watch.ts";
import type { WatchEvent } from "../../../../mesh/kvstore/store.ts";
import type {
  RawEvent,
  WatchEnd,
  WatchSignal,
  WatchStream,
} from "../../../../mesh/kvstore/watch-stream.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { createFakeConnection, header } from "../../../fakes/etcd-connection.ts";

const pin = (revision: bigint): { clusterId: string; revision: bigint } => ({
  clusterId: "1",
  revision,
});
const value = Buffer.from("1");
const put = (key: string, revision: bigint): RawEvent => ({ deleted: false, key, value, revision });
const del = (key: string, revision: bigint): RawEvent => ({ deleted: true, key, value, revision });
const created = (revision: bigint): WatchSignal => ({ kind: "created", pin: pin(revision) });
const events = (at: bigint, ...list: RawEvent[]): WatchSignal => ({
  kind: "events",
  events: list,
  pin: pin(at),
});

type Script = readonly [...WatchSignal[], WatchEnd | MeshError];

/** Runs a timeline over lists and watch scripts, one of each for every time it is asked. */
async function run(options: {
  lists: readonly { revision: number; keys: Record<string, number> }[];
  watches: readonly Script[];
  maxKeys?: number;
}): Promise<{ told: string[]; starts: bigint[] }> {
  const lists = [...options.lists];
  const watches = [...options.watches];
  const end = new AbortController();
  const clock = createFakeClock();
  const starts: bigint[] = [];
  const connection = createFakeConnection(() => {
    const list = lists.shift() ?? { revision: 0, keys: {} };
    const kvs = Object.entries(list.keys).map(([key, revision]) => ({
      key: Buffer.from(key),
      value,
      mod_revision: String(revision),
    }));
    return { header: header(list.revision), kvs, more: false };
  });
  const stream: WatchStream = {
    async *subscribe({ startRevision }) {
      starts.push(startRevision);
      const script = watches.shift();
      if (script === undefined) {
        end.abort();
        return "aborted";
      }
      for (const step of script) {
        if (typeof step === "string") return step;
        if (step instanceof MeshError) throw step;
        yield step;
      }
      return "aborted";
    },
    reset() {},
  };
  const told: string[] = [];
  const reading = (async () => {
    const timeline = watchTimeline(
      {
        connection,
        stream,
        witness: new EtcdWitness(),
        target: { prefix: "", maxKeys: options.maxKeys ?? 100 },
        clock,
        random: () => 0,
        log: silentLogger,
      },
      end.signal,
    );
    for await (const batch of timeline) told.push(...batch.map(describeEvent));
  })();
  while (!end.signal.aborted) await clock.advance(1_000);
  await reading;
  return { told, starts };
}

function describeEvent(event: WatchEvent): string {
  if (event.kind === "put") return `put ${event.key}@${event.revision}`;
  if (event.kind === "delete") return `delete ${event.key}`;
  if (event.kind === "refused") return `refused ${event.key}`;
  return event.kind;
}

const broken = new MeshError("unavailable", "Cannot go on: cut");
const A1 = [{ revision: 5, keys: { a: 4 } }];

describe("watchTimeline()", () => {
  test("watches from behind the list and resumes at the last event, not at the header", async () => {
    const { told, starts } = await run({
      lists: A1,
      watches: [[created(5n), events(100n, put("b", 7n)), broken]],
    });
    expect(starts).toEqual([6n, 7n]);
    expect(told).toEqual(["put a@4", "synced", "put b@7", "disconnected"]);
  });

  test("leaves out what is delivered again after an interruption", async () => {
    const { told } = await run({
      lists: A1,
      watches: [
        [created(5n), events(7n, put("b", 7n)), broken],
        [created(9n), events(9n, put("b", 7n), put("c", 7n), del("a", 8n)), "lagging"],
      ],
    });
    expect(told).toEqual([
      "put a@4",
      "synced",
      "put b@7",
      "disconnected",
      "resumed",
      "put c@7",
      "delete a",
    ]);
  });

  test("moves on with progress, so that a quiet prefix is not compacted away", async () => {
    const { starts } = await run({
      lists: A1,
      watches: [[created(5n), { kind: "progress", pin: pin(500n) }, broken]],
    });
    expect(starts).toEqual([6n, 501n]);
  });

  test("lists again after compaction and delivers the difference", async () => {
    const { told, starts } = await run({
      lists: [
        { revision: 5, keys: { a: 1, b: 2, c: 3 } },
        { revision: 50, keys: { a: 1, b: 40 } },
      ],
      watches: [["compacted"]],
    });
    expect(told).toEqual(["put a@1", "put b@2", "put c@3", "synced", "put b@40", "delete c"]);
    expect(starts).toEqual([6n, 51n]);
  });

  test("lists again when a message is too large to be taken", async () => {
    const { told } = await run({
      lists: [...A1, { revision: 9, keys: { a: 4, b: 8 } }],
      watches: [[created(5n), new MeshError("resource_exhausted", "Cannot take: too large")]],
    });
    expect(told).toEqual(["put a@4", "synced", "disconnected", "resumed", "put b@8"]);
  });

  test("tells of one interruption once, however many attempts it takes", async () => {
    const { told } = await run({ lists: A1, watches: [[created(5n), broken], [broken], [broken]] });
    expect(told).toEqual(["put a@4", "synced", "disconnected"]);
  });

  test("refuses more keys than it may remember, and has room again after a deletion", async () => {
    const { told } = await run({
      lists: [{ revision: 5, keys: { a: 1, b: 2, c: 3 } }],
      watches: [[created(5n), events(9n, put("d", 6n), del("a", 7n), put("e", 8n)), "lagging"]],
      maxKeys: 2,
    });
    expect(told).toEqual([
      "put a@1",
      "put b@2",
      "refused c",
      "synced",
      "refused d",
      "delete a",
      "put e@8",
    ]);
  });

  test("keeps the place of keys that it has told of when others stand before them", async () => {
    const { told } = await run({
      lists: [
        { revision: 5, keys: { m: 1, n: 2 } },
        { revision: 9, keys: { a: 6, b: 7, m: 1, n: 2 } },
      ],
      watches: [["compacted"]],
      maxKeys: 2,
    });
    expect(told).toEqual(["put m@1", "put n@2", "synced", "refused a"]);
  });
});
