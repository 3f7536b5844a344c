// What every connection to an operations plane must do, whatever it stands on: a function that
// declares the tests, called once for each implementation.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { askQuestion, serveQuestions } from "../../mesh/operations/ask.ts";
import {
  BUFFER_MAX_MESSAGES,
  MESSAGE_MAX_BYTES,
  type OperationsConnection,
  type StoredMessage,
} from "../../mesh/operations/connection.ts";
import { STREAMS } from "../../mesh/operations/streams.ts";
import { eventually } from "../fakes/eventually.ts";

export interface OperationsSetup {
  /** Another connection of an admin to the same plane; `run` is the caller's. */
  open(): OperationsConnection;
  /** Nobody reaches the plane until `reconnect`. */
  disconnect(): Promise<void>;
  reconnect(): Promise<void>;
  close(): Promise<void>;
}

const SUBJECT = "tombolo.events.east.drain";
const EVENTS = { filter: "tombolo.events.*.*" };

export function describeOperations(name: string, setUp: () => Promise<OperationsSetup>): void {
  describe(`${name} as an operations plane`, () => {
    let setup: OperationsSetup;
    let end: AbortController;
    let running: Promise<void>[];
    let connection: OperationsConnection;

    const open = async (): Promise<OperationsConnection> => {
      const opened = setup.open();
      running.push(opened.run(end.signal));
      await opened.ready(end.signal);
      return opened;
    };
    const texts = async (): Promise<string[]> =>
      (await connection.read("EVENTS", EVENTS, end.signal)).map(({ data }) => data.toString());

    beforeEach(async () => {
      setup = await setUp();
      end = new AbortController();
      running = [];
      connection = await open();
      for (const stream of STREAMS) await connection.ensureStream(stream, end.signal);
    });

    afterEach(async () => {
      end.abort();
      await Promise.all(running);
      await setup.close();
    });

    test("keeps what is published, in order, once for each id", async () => {
      for (const n of [1, 2, 2, 3]) {
        connection.publish({ subject: SUBJECT, data: `${n}`, id: `id-${n}` });
      }
      await eventually(async () => connection.status().waiting === 0);
      expect(await texts()).toEqual(["1", "2", "3"]);
      expect(connection.status()).toMatchObject({ state: "connected", stored: 4, dropped: 0 });
    });

    test("keeps what is published while it is away, and drops the oldest beyond the limit", async () => {
      await setup.disconnect();
      await eventually(() => connection.status().state === "connecting");
      for (let n = 0; n < BUFFER_MAX_MESSAGES + 5; n++) {
        connection.publish({ subject: SUBJECT, data: `${n}`, id: `id-${n}` });
      }
      expect(connection.status()).toMatchObject({ waiting: BUFFER_MAX_MESSAGES, dropped: 5 });
      await setup.reconnect();
      await eventually(() => connection.status().waiting === 0);
      const kept = await texts();
      expect([kept.at(0), kept.at(-1), kept.length]).toEqual([
        "5",
        `${BUFFER_MAX_MESSAGES + 4}`,
        1_000,
      ]);
      expect(connection.status().lost).toBe(1);
    });

    test("refuses what is too large, and goes on with the next", async () => {
      connection.publish({ subject: SUBJECT, data: "x".repeat(MESSAGE_MAX_BYTES + 1), id: "a" });
      connection.publish({ subject: SUBJECT, data: "x".repeat(64 * 1024), id: "b" });
      connection.publish({ subject: SUBJECT, data: "small", id: "c" });
      await eventually(() => connection.status().waiting === 0);
      expect(await texts()).toEqual(["small"]);
      expect(connection.status().dropped).toBe(2);
    });

    test("stores one message and says when it has", async () => {
      const signal = end.signal;
      const subject = "tombolo.drills.east.drill-1";
      await connection.store({ subject, data: "report", id: "r" }, { timeoutMs: 5_000, signal });
      const [report] = await connection.read("DRILLS", { filter: "tombolo.drills.*.*" }, signal);
      expect(report).toMatchObject({ subject, data: Buffer.from("report") });
    });

    test("stores nothing within the deadline while it is away, and says so", async () => {
      await setup.disconnect();
      await eventually(() => connection.status().state === "connecting");
      const late = { timeoutMs: 200, signal: end.signal };
      await expect(
        connection.store({ subject: SUBJECT, data: "late", id: "late" }, late),
      ).rejects.toMatchObject({ code: "deadline_exceeded" });
      await expect(connection.read("EVENTS", EVENTS, end.signal)).rejects.toMatchObject({
        code: "unavailable",
      });
    });

    test("reads the last messages, and those of one subject", async () => {
      for (const n of [1, 2, 3]) {
        connection.publish({ subject: SUBJECT, data: `drain ${n}`, id: `d-${n}` });
      }
      connection.publish({ subject: "tombolo.events.west.drill", data: "drill", id: "w" });
      await eventually(() => connection.status().waiting === 0);
      const read = async (filter: string, last?: number): Promise<string[]> => {
        const selection = last === undefined ? { filter } : { filter, last };
        const found = await connection.read("EVENTS", selection, end.signal);
        return found.map(({ data }) => data.toString());
      };
      expect(await read("tombolo.events.east.*", 2)).toEqual(["drain 2", "drain 3"]);
      expect(await read("tombolo.events.*.drill")).toEqual(["drill"]);
      expect(await read("tombolo.events.north.*")).toEqual([]);
    });

    test("says that there is no such stream", async () => {
      await expect(connection.read("NONE", EVENTS, end.signal)).rejects.toMatchObject({
        code: "not_found",
      });
    });

    test("follows: what there is, then what comes, each once", async () => {
      connection.publish({ subject: SUBJECT, data: "before", id: "1" });
      await eventually(() => connection.status().waiting === 0);
      const seen: StoredMessage[] = [];
      const stop = new AbortController();
      const signal = AbortSignal.any([end.signal, stop.signal]);
      const following = (async () => {
        for await (const message of connection.follow("EVENTS", EVENTS, signal)) seen.push(message);
      })();
      await eventually(() => seen.length === 1);
      const other = await open();
      for (const n of [2, 3]) other.publish({ subject: SUBJECT, data: "after", id: `${n}` });
      await eventually(() => seen.length === 3);
      stop.abort();
      await following;
      expect(seen.map(({ data }) => data.toString())).toEqual(["before", "after", "after"]);
      expect(seen.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    });

    test("ends following with an error when it is lost", async () => {
      const following = (async () => {
        for await (const message of connection.follow("EVENTS", EVENTS, end.signal)) {
          expect(message).toBeUndefined();
        }
      })();
      const ended = expect(following).rejects.toMatchObject({ code: "unavailable" });
      await setup.disconnect();
      await ended;
    });

    test("asks and is answered, also after an interruption", async () => {
      const place = { cluster: "west", node: "west-1.example" };
      const answerer = await open();
      const handler = async (question: object): Promise<unknown> => ({ ...question, ok: true });
      running.push(serveQuestions(answerer, { place, handler }, end.signal));
      const ask = (): Promise<unknown> =>
        askQuestion(
          connection,
          { to: place, question: { ask: "hello" }, timeoutMs: 2_000 },
          end.signal,
        );
      await eventually(async () => expect(await ask()).toEqual({ ask: "hello", ok: true }) ?? true);
      await setup.disconnect();
      await eventually(() => connection.status().state === "connecting");
      await expect(ask()).rejects.toMatchObject({ code: "unavailable" });
      await setup.reconnect();
      await eventually(async () => expect(await ask()).toEqual({ ask: "hello", ok: true }) ?? true);
    });

    test("says that nobody answers, and passes a refusal on in one sentence", async () => {
      const place = { cluster: "west", node: "west-1" };
      const request = { to: place, question: { ask: "hello" } as const, timeoutMs: 2_000 };
      await expect(askQuestion(connection, request, end.signal)).rejects.toMatchObject({
        code: "unavailable",
        message: 'Cannot ask "tombolo.ask.west.west-1": nobody answers there',
      });
      const handler = (): Promise<never> => Promise.reject(new Error("no drills here"));
      running.push(serveQuestions(connection, { place, handler }, end.signal));
      await eventually(() =>
        expect(askQuestion(connection, request, end.signal))
          .rejects.toMatchObject({
            code: "conflict",
            message: '"west-1" in cluster "west" refuses: no drills here',
          })
          .then(() => true),
      );
    });
  });
}
