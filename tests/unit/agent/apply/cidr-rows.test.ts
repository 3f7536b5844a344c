import { expect, test } from "@jest/globals";
import { createRowsApplied } from "../../../../agent/apply/cidr-rows.ts";
import type { IpcacheRow } from "../../../../agent/plan/plan-ipcache.ts";
import { ipcacheKeyFromText } from "../../../../bpf/address.ts";
import { ipcacheMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createTable } from "../../../../mesh/core/table.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const never = new AbortController().signal;
const PREFIX = "198.51.100.0/24";

function create() {
  const map = createMemoryMap(ipcacheMap);
  const desired = createTable<IpcacheRow>({ name: "ipcache" });
  const clock = createFakeClock();
  const applied = createRowsApplied({ map, desired, clock, log: silentLogger });
  const row = (identity: number) => ({ prefix: PREFIX, identity });
  const want = (identity: number): void => {
    desired.put(PREFIX, { ...row(identity), tunnelEndpoint: "", clusterId: 0, encryptionKey: 0 });
  };
  const write = (identity: number): void =>
    map.put(ipcacheKeyFromText(PREFIX, new Uint8Array(16)), {
      identity,
      tunnelEndpoint: new Uint8Array(16),
      clusterId: 0,
      encryptionKey: 0,
    });
  return { map, desired, clock, applied, row, want, write };
}

function observe(promise: Promise<void>): { done: boolean } {
  const state = { done: false };
  void promise.then(() => (state.done = true));
  return state;
}

test("waits until the map gives the number out", async () => {
  const { clock, applied, row, want, write } = create();
  const waiting = observe(applied({ put: [row(16_777_216)], deleted: [] }, never));
  await clock.advance(20);
  expect(waiting.done).toBe(false);
  want(16_777_216);
  await clock.advance(20);
  expect(waiting.done).toBe(false);
  write(16_777_216);
  await clock.advance(20);
  expect(waiting.done).toBe(true);
});

test("a prefix that somebody of the mesh claims counts as that", async () => {
  const { clock, applied, row, want, write } = create();
  want(3);
  write(3);
  const waiting = observe(applied({ put: [row(16_777_216)], deleted: [] }, never));
  await clock.settle();
  expect(waiting.done).toBe(true);
});

test("waits until a number is no longer given out", async () => {
  const { map, desired, clock, applied, row, want, write } = create();
  want(16_777_216);
  write(16_777_216);
  const waiting = observe(applied({ put: [], deleted: [row(16_777_216)] }, never));
  desired.delete(PREFIX);
  await clock.advance(20);
  expect(waiting.done).toBe(false);
  map.delete(ipcacheKeyFromText(PREFIX, new Uint8Array(16)));
  await clock.advance(20);
  expect(waiting.done).toBe(true);
});

test("does not wait for ever for a map without room", async () => {
  const { clock, applied, row } = create();
  const waiting = observe(applied({ put: [row(16_777_216)], deleted: [] }, never));
  await clock.advance(5_100);
  expect(waiting.done).toBe(true);
});
