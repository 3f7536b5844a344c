import { describe, expect, test } from "@jest/globals";
import {
  EXPLICIT_REMOVAL_GRACE_MS,
  removeCachedPeer,
} from "../../../../apiserver/mirror/removal.ts";
import { createMemoryStore, MemoryEtcd } from "../../../../mesh/kvstore/memory-store.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const signal = new AbortController().signal;
const CONFIG = "cilium/cluster-config/west";
const CANARY = "cilium/synced/west/cilium/cache/ip/v1";
const RECORD = "cilium/cache/ip/v1/west/10.2.0.5";
const DRAIN = "tombolo/cache/drains/v1/west/a";
const OTHERS = ["cilium/cache/ip/v1/west-2/10.3.0.5", "cilium/cluster-config/west-2"];

describe("removeCachedPeer()", () => {
  test("removes the config, waits, then removes the rest and nothing of others", async () => {
    const store = createMemoryStore(new MemoryEtcd());
    const clock = createFakeClock();
    await store.commit(
      [CONFIG, CANARY, RECORD, DRAIN, ...OTHERS].map((key) => ({
        kind: "put",
        key,
        value: Buffer.from("x"),
      })),
      signal,
    );
    const keys = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const page of store.list("cilium/", signal)) {
        found.push(...page.map(({ key }) => key));
      }
      return found;
    };
    const removal = removeCachedPeer("west", { store, clock }, signal);
    await clock.advance(EXPLICIT_REMOVAL_GRACE_MS - 1);
    expect(await keys()).toEqual([OTHERS[0], RECORD, OTHERS[1], CANARY]);
    await clock.advance(1);
    await removal;
    expect(await keys()).toEqual(OTHERS);
    expect(await store.get(DRAIN, signal)).toBeUndefined();
    store.close();
  });
});
