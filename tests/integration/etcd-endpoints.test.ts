// An etcd that moves: the list of endpoints changes while a store uses it.
import { afterEach, expect, test } from "@jest/globals";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createEtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import { startBlackHoles } from "../fakes/black-holes.ts";
import { freePorts, startTestEtcd, type TestEtcd } from "../fakes/etcd.ts";
import { eventually } from "../fakes/eventually.ts";

const LIMIT_MS = 120_000;
const signal = new AbortController().signal;
const running: TestEtcd[] = [];
afterEach(async () => {
  for (const etcd of running.splice(0)) await etcd.close();
});

async function startNamedEtcd(name: string): Promise<TestEtcd> {
  const etcd = await startTestEtcd();
  running.push(etcd);
  const store = openStore([etcd.endpoint]);
  await store.commit([{ kind: "put", key: "name", value: Buffer.from(name) }], signal);
  store.close();
  return etcd;
}

function openStore(endpoints: Parameters<typeof createEtcdStore>[0]["endpoints"]) {
  return createEtcdStore({
    endpoints,
    tls: undefined,
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
  });
}

test(
  "a connection stays where it is while it is answered, and goes where the list says then",
  async () => {
    const first = await startNamedEtcd("first");
    const second = await startNamedEtcd("second");
    let endpoints = [first.endpoint];
    const store = openStore(() => endpoints);
    const name = async (): Promise<string | undefined> =>
      (await store.get("name", signal))?.value.toString();
    expect(await name()).toBe("first");
    endpoints = [second.endpoint];
    expect(await name()).toBe("first");
    await first.close();
    await eventually(async () => (await name()) === "second", { limitMs: LIMIT_MS });
    store.close();
  },
  LIMIT_MS,
);

test(
  "the one of 16 endpoints that answers is found at once, also when it moves",
  async () => {
    const first = await startNamedEtcd("first");
    const second = await startNamedEtcd("second");
    const dead = await startBlackHoles(8);
    const refusing = await freePorts(6);
    const others = [...dead.ports, ...refusing].map((port) => `http://127.0.0.1:${port}`);
    try {
      const endpoints = [...others, second.endpoint, first.endpoint];
      expect(endpoints).toHaveLength(16);
      await second.kill();
      const store = openStore(endpoints);
      const name = async (): Promise<string | undefined> =>
        (await store.get("name", signal))?.value.toString();
      const askedMs = performance.now();
      expect(await name()).toBe("first");
      expect(performance.now() - askedMs).toBeLessThan(900);

      await second.restart();
      await first.kill();
      const movedMs = performance.now();
      await eventually(async () => (await name()) === "second", { limitMs: LIMIT_MS });
      expect(performance.now() - movedMs).toBeLessThan(900);

      await first.restart();
      expect(await name()).toBe("second");
      store.close();
    } finally {
      await dead.close();
    }
  },
  LIMIT_MS,
);

test("a store without endpoints is refused", () => {
  expect(() => openStore([])).toThrow("no endpoint is given");
  expect(() => openStore(() => [])).toThrow("no endpoint is given");
});
