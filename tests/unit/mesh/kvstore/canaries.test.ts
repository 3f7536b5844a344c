// The `synced` canaries.
import { expect, test } from "@jest/globals";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { runCanaries } from "../../../../mesh/kvstore/canaries.ts";
import { createMemoryStore, MemoryEtcd } from "../../../../mesh/kvstore/memory-store.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

test("runCanaries() writes its keys once, when everything is written", async () => {
  const etcd = new MemoryEtcd();
  const store = createMemoryStore(etcd);
  const clock = createFakeClock();
  const end = new AbortController();
  const keys = ["cilium/synced/east/a", "cilium/synced/east/b"];
  let written = false;
  const running = runCanaries(
    { store, clock, log: silentLogger, keys, ready: () => written },
    end.signal,
  );
  const target = { prefix: "cilium/synced/", maxKeys: 10 };
  await clock.advance(10_000);
  expect(etcd.entries(target)).toEqual([]);
  written = true;
  await clock.advance(60 * 60_000);
  expect(etcd.changesAfter(0n, target).map(({ key }) => key)).toEqual(keys);
  end.abort();
  await running;
  store.close();
});
