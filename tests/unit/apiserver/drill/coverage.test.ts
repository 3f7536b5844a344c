// Which failover was drilled, as an apiserver finds it out, and what it says when it cannot.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createDrillCoverage } from "../../../../apiserver/drill/coverage.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { serveQuestions } from "../../../../mesh/operations/ask.ts";
import type {
  OperationsConnection,
  StoredMessage,
} from "../../../../mesh/operations/connection.ts";
import { DRILLS_STREAM } from "../../../../mesh/operations/streams.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { drillReport, drillRun } from "../../../fakes/drill-report.ts";
import { CART, LOGS } from "../../../fakes/drill-services.ts";
import { eventually } from "../../../fakes/eventually.ts";
import { createMemoryConnection, MemoryBroker } from "../../../fakes/operations.ts";

const never = new AbortController().signal;
const NOW = Date.UTC(2026, 5, 1);
const EDGE = { service: "shop/cart", client: "east", from: "west", to: ["east"] };

const clock = createFakeClock(NOW);
let broker: MemoryBroker;
let connection: OperationsConnection;
let end: AbortController;
let ended: Promise<unknown>;
let nodes: string[];
let looks: number;

beforeEach(async () => {
  broker = new MemoryBroker(clock);
  connection = createMemoryConnection(broker);
  end = new AbortController();
  nodes = ["east-node0", "east-node1"];
  looks = 0;
  const place = { cluster: "east", node: "east-node1" };
  const handler = (question: { ask: string }): Promise<unknown> => {
    if (question.ask === "hello") return Promise.resolve({});
    looks += 1;
    return Promise.resolve({ services: [CART, LOGS], more: false });
  };
  const running = connection.run(end.signal);
  await connection.ready(end.signal);
  await connection.ensureStream(DRILLS_STREAM, end.signal);
  ended = Promise.all([running, serveQuestions(connection, { place, handler }, end.signal)]);
  await eventually(() => broker.handlers.size > 0, { what: "the agent answers" });
});

afterEach(async () => {
  end.abort();
  await ended;
});

function coverage(given: Pick<OperationsConnection, "ask" | "read" | "status"> = connection) {
  return createDrillCoverage({ cluster: "east", nodes: () => nodes, connection: given, clock });
}

function tell(id: string, data: unknown): void {
  broker.store({ subject: `tombolo.drills.west.${id}`, data: JSON.stringify(data), id });
}

describe("createDrillCoverage()", () => {
  test("joins what an agent sees with what the stream has told, from where it read last", async () => {
    const check = coverage();
    expect(await check(never)).toEqual({
      problem: "",
      failovers: [{ ...EDGE, lastDrilledMs: 0 }],
    });
    const services = drillRun().services.map((one) => ({ ...one, service: "shop/cart" }));
    const run = drillRun({ startedAtMs: NOW - 5, services });
    tell("drill", drillReport({ runs: [run] }));
    expect((await check(never)).failovers).toEqual([{ ...EDGE, lastDrilledMs: NOW - 5 }]);
  });

  test("bothers no agent more often than every ten seconds", async () => {
    const check = coverage();
    await Promise.all([check(never), check(never)]);
    await check(never);
    expect(looks).toBe(1);
    await clock.advance(10_000);
    expect((await check(never)).failovers).toHaveLength(1);
    expect(looks).toBe(2);
  });

  test("has for the next asker what came too late for one", async () => {
    const late = Promise.withResolvers<StoredMessage[]>();
    const check = coverage({ ...connection, read: () => late.promise });
    const first = check(never);
    await clock.advance(2_500);
    expect((await first).problem).toContain("too slow");
    const second = check(never);
    late.resolve([]);
    expect(await second).toMatchObject({ problem: "", failovers: [EDGE] });
  });

  test("passes over what is no report", async () => {
    tell("a", "no report");
    tell("b", { version: 1, id: "b", runs: [null], fault: { cluster: "west" } });
    tell("c", { version: 1, id: "c", runs: [{ startedAtMs: 1, services: [null] }], fault: {} });
    expect(await coverage()(never)).toMatchObject({ problem: "", failovers: [EDGE] });
  });

  test("finds nothing to drill in a cluster without nodes", async () => {
    nodes = [];
    expect(await coverage()(never)).toEqual({ problem: "", failovers: [] });
  });

  test("says what is in the way, in time", async () => {
    const none = createDrillCoverage({
      cluster: "east",
      nodes: () => [],
      connection: undefined,
      clock,
    });
    expect(await none(never)).toEqual({ problem: "no operations plane", failovers: [] });

    nodes = ["east-node0"];
    const alone = await coverage()(never);
    expect(alone.problem).toBe("Cannot see the services: no agent answers");

    const silent = {
      ...connection,
      ask: () => Promise.reject(new MeshError("deadline_exceeded", "")),
    };
    const unheard = await coverage(silent)(never);
    expect(unheard.problem).toContain("neither NATS nor an agent answers in time");

    nodes = ["east-node1"];
    const stuck = { ...connection, read: () => new Promise<never>(() => {}) };
    const slow = coverage(stuck)(never);
    await clock.advance(2_500);
    expect((await slow).problem).toBe("the operations plane is too slow: no answer in 2500 ms");

    broker.isUp = false;
    await eventually(() => connection.status().state !== "connected", { what: "it is lost" });
    expect((await coverage()(never)).problem).toBe("the operations plane does not answer");
  });
});
