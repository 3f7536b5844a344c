// Random worlds that change at random: whatever the order, the engine holds what a new one would
// hold, its maps decide each packet as the policies' text does, and no step on the way opens or
// closes anything that is not meant to be.
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { createPolicyEngine, type PolicyEngine } from "../../../../agent/policy/engine.ts";
import { anyBeginning, anyPacket, anyUpdate, type Update } from "./arbitraries.ts";
import { Kernel } from "./kernel.ts";
import { naiveVerdict, OWN, type Packet, type World } from "./naive-verdict.ts";

const SEED = Number(process.env["TOMBOLO_SEED"] ?? 20_261_122);
const RUNS = 1_000;
/** So few that some endpoints exceed them. */
const FEW = { entries: 60, peers: 10 };
const PLENTY = { entries: 16_384, peers: 16_384 };

const emptyWorld = (): World => ({
  policies: new Map(),
  identities: new Map(),
  namedPorts: new Map(),
  endpoints: new Map(),
});

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function update(world: World, engine: PolicyEngine, change: Update): void {
  switch (change.kind) {
    case "policy":
      put(world.policies, change.key, change.value);
      return engine.setPolicy(change.key, change.value);
    case "identity":
      put(world.identities, change.key, change.value);
      return engine.setIdentity(change.key, change.value);
    case "ports":
      put(world.namedPorts, change.key, change.value);
      return engine.setNamedPorts(change.key, change.value);
    case "endpoint":
      put(world.endpoints, change.key, change.value);
      return engine.setEndpoint(change.key, change.value);
    case "take":
  }
}

/** Applies everything that is to be taken. */
function settle(engine: PolicyEngine, kernel: Kernel): void {
  for (let unfinished = true; unfinished;) {
    const changes = engine.take();
    for (const _ of kernel.apply(changes)) continue;
    unfinished = changes.unfinished;
  }
}

/** What an engine holds, in words that do not depend on who was first. */
function held(engine: PolicyEngine): unknown {
  const rows = new Map(engine.rows().map(({ prefix, identity }) => [identity, prefix]));
  const endpoints = ["e1", "e2", "e3"].map((key) => {
    const entries = [...(engine.entriesOf(key)?.values() ?? [])].map((entry) => {
      const [rule] = engine.ruleOf(entry.rule);
      const identity = rows.get(entry.identity) ?? entry.identity;
      return JSON.stringify({ ...entry, identity, rule });
    });
    return { key, state: engine.stateOf(key), entries: entries.sort() };
  });
  return { endpoints, rows: [...rows.values()].sort() };
}

function fromScratch(world: World, limits = PLENTY): PolicyEngine {
  const engine = createPolicyEngine({ ownCluster: OWN, limits });
  tellAll(engine, world);
  settle(engine, new Kernel());
  return engine;
}

/** In another order than anything came. */
function tellAll(engine: PolicyEngine, world: World): void {
  for (const [key, value] of world.endpoints) engine.setEndpoint(key, value);
  for (const [key, value] of [...world.policies].reverse()) engine.setPolicy(key, value);
  for (const [key, value] of [...world.identities].reverse()) engine.setIdentity(key, value);
  for (const [key, value] of world.namedPorts) engine.setNamedPorts(key, value);
}

const anyHistory = fc.tuple(anyBeginning, fc.array(anyUpdate, { maxLength: 14 }));
const options = { numRuns: RUNS, seed: SEED };

test("what changes bring about is what there would be from scratch, and what policies say", () => {
  const anyCase = fc.tuple(anyHistory, fc.array(anyPacket, { minLength: 40, maxLength: 40 }));
  let packets = 0;
  const verdicts = { allow: 0, deny: 0 };
  fc.assert(
    fc.property(anyCase, ([[beginning, changes], asked]) => {
      const world = emptyWorld();
      const engine = createPolicyEngine({ ownCluster: OWN });
      const kernel = new Kernel();
      for (const change of beginning) update(world, engine, change);
      settle(engine, kernel);
      for (const change of changes) {
        update(world, engine, change);
        if (change.kind === "take") settle(engine, kernel);
      }
      settle(engine, kernel);
      expect(held(engine)).toEqual(held(fromScratch(world)));
      for (const key of world.endpoints.keys()) {
        expect(kernel.endpoints.get(key) ?? new Map()).toEqual(engine.entriesOf(key));
      }
      expect(new Map(engine.rows().map(({ prefix, identity }) => [prefix, identity]))).toEqual(
        kernel.rows,
      );
      for (const packet of asked) {
        if (!world.endpoints.has(packet.endpoint)) continue;
        const verdict = naiveVerdict(world, packet);
        packets++;
        verdicts[verdict]++;
        expect({ packet, verdict: kernel.verdict(packet) }).toEqual({ packet, verdict });
        const { peer } = packet;
        const identity = typeof peer === "number" ? peer : engine.numberOfAddress(peer);
        const answer = engine.explain({ ...packet, identity });
        expect({ packet, verdict: answer?.verdict }).toEqual({ packet, verdict });
      }
    }),
    options,
  );
  process.stderr.write(
    `policy engine: ${RUNS} worlds, ${packets} packets agree (${verdicts.allow} allowed, ` +
      `${verdicts.deny} denied), seed ${SEED}\n`,
  );
  expect(Math.min(verdicts.allow, verdicts.deny)).toBeGreaterThan(RUNS);
}, 120_000);

test("on the way no packet is judged but as before or as afterwards", () => {
  const anyCase = fc.tuple(
    anyHistory,
    fc.array(anyUpdate, { minLength: 1, maxLength: 4 }),
    fc.array(anyPacket, { minLength: 12, maxLength: 12 }),
  );
  fc.assert(
    fc.property(anyCase, ([[beginning, changes], last, asked]) => {
      const world = emptyWorld();
      const engine = createPolicyEngine({ ownCluster: OWN });
      const kernel = new Kernel();
      for (const change of [...beginning, ...changes]) update(world, engine, change);
      settle(engine, kernel);
      const judge = (): string[] => asked.map((packet: Packet) => kernel.verdict(packet));
      const seen = [judge()];
      for (const change of last) update(world, engine, change);
      for (let unfinished = true; unfinished;) {
        const taken = engine.take();
        for (const _ of kernel.apply(taken)) seen.push(judge());
        unfinished = taken.unfinished;
      }
      for (const i of asked.keys()) {
        const verdicts = seen.map((each) => each[i]);
        const turns = verdicts.filter((verdict, at) => at > 0 && verdict !== verdicts[at - 1]);
        expect({ packet: asked[i], turns }).toEqual({
          packet: asked[i],
          turns: verdicts[0] === verdicts.at(-1) ? [] : [verdicts.at(-1)],
        });
      }
    }),
    options,
  );
}, 120_000);

test("who needs more than there is room for is closed, whatever the order, and opened again", () => {
  let closed = 0;
  fc.assert(
    fc.property(anyHistory, ([beginning, changes]) => {
      const world = emptyWorld();
      const engine = createPolicyEngine({ ownCluster: OWN, limits: FEW });
      const kernel = new Kernel();
      for (const change of [...beginning, ...changes]) {
        update(world, engine, change);
        if (change.kind === "take") settle(engine, kernel);
      }
      settle(engine, kernel);
      expect(held(engine)).toEqual(held(fromScratch(world, FEW)));
      for (const key of world.endpoints.keys()) {
        const state = engine.stateOf(key);
        expect(kernel.endpoints.get(key) === undefined).toBe(state?.closed !== undefined);
        if (state?.closed?.startsWith("too-many")) closed++;
      }
    }),
    options,
  );
  expect(closed).toBeGreaterThan(RUNS / 20);
}, 120_000);

test("a new engine that adopts the rows of an earlier one changes no verdict", () => {
  const anyCase = fc.tuple(anyHistory, fc.array(anyPacket, { minLength: 12, maxLength: 12 }));
  fc.assert(
    fc.property(anyCase, ([[beginning, changes], asked]) => {
      const world = emptyWorld();
      const engine = createPolicyEngine({ ownCluster: OWN });
      const kernel = new Kernel();
      for (const change of [...beginning, ...changes]) {
        update(world, engine, change);
        if (change.kind === "take") settle(engine, kernel);
      }
      settle(engine, kernel);
      const rows = new Map(kernel.rows);
      const judge = (): string[] => asked.map((packet: Packet) => kernel.verdict(packet));
      const before = judge();
      const next = createPolicyEngine({ ownCluster: OWN, adoptedRows: rows });
      tellAll(next, world);
      for (let unfinished = true; unfinished;) {
        const taken = next.take();
        for (const _ of kernel.apply(taken)) expect(judge()).toEqual(before);
        unfinished = taken.unfinished;
      }
      expect(kernel.rows).toEqual(rows);
    }),
    { ...options, numRuns: RUNS / 4 },
  );
}, 120_000);
