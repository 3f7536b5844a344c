// The writer's heartbeat.
import { expect, test } from "@jest/globals";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { runHeartbeat } from "../../../../mesh/kvstore/heartbeat.ts";
import { HEARTBEAT_KEY } from "../../../../mesh/kvstore/keys.ts";
import { createMemoryStore, MemoryEtcd } from "../../../../mesh/kvstore/memory-store.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

test("runHeartbeat() writes at once and then every minute", async () => {
  const etcd = new MemoryEtcd();
  const store = createMemoryStore(etcd);
  const clock = createFakeClock();
  const end = new AbortController();
  const running = runHeartbeat({ store, clock, log: silentLogger }, end.signal);
  const target = { prefix: HEARTBEAT_KEY, maxKeys: 1, exact: true };
  await clock.settle();
  expect(etcd.changesAfter(0n, target)).toHaveLength(1);
  await clock.advance(3 * 60_000);
  expect(etcd.changesAfter(0n, target)).toHaveLength(4);
  end.abort();
  await running;
  store.close();
});
