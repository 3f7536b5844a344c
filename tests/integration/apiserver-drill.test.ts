// The apiserver's part in drills with real processes: a daemon that is killed after the answer, and
// an apiserver that comes back by what it has left behind.
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dieFor } from "../../apiserver/drill/die.ts";
import { createApiserverDrillTask, createDrillHolds } from "../../apiserver/drill/drill-part.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import type { OperationsConnection } from "../../mesh/operations/connection.ts";
import type { Question } from "../../mesh/operations/questions.ts";
import { eventually } from "../fakes/eventually.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-drill-"));
});

afterEach(() => rm(directory, { recursive: true }));

test("createApiserverDrillTask() kills etcd after it has answered, and nobody else's process", async () => {
  const daemon = (argv0: string): ChildProcess =>
    spawn("sleep", ["600"], { argv0, stdio: "ignore" });
  const [etcd, other] = [daemon("etcd"), daemon("another")];
  await Promise.all([once(etcd, "spawn"), once(other, "spawn")]);
  const asked = Promise.withResolvers<(data: Buffer) => Promise<string>>();
  const connection = {
    answer: async (_subject, handler, signal) => {
      asked.resolve(handler);
      await once(signal, "abort");
    },
  } satisfies Pick<OperationsConnection, "answer">;
  const holds = createDrillHolds(systemClock);
  const task = createApiserverDrillTask({
    cluster: "east",
    version: "1",
    nodes: () => ["east-1"],
    peers: () => [],
    holds,
    etcdPid: () => etcd.pid ?? 0,
    natsPid: () => other.pid ?? 0,
    die: undefined,
    etcd: { endpoints: [], tls: { caFile: "", certFile: "", keyFile: "" }, serverName: "" },
    connection: connection as unknown as OperationsConnection,
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
  });
  const end = new AbortController();
  const running = task.run(end.signal);
  const handler = await asked.promise;
  const ask = async (question: Question): Promise<unknown> =>
    JSON.parse(await handler(Buffer.from(JSON.stringify(question))));
  const exit = once(etcd, "exit");
  const broken = { ask: "break", drill: "d", ttlMs: 60_000 } as const;
  expect(await ask({ ...broken, fault: "etcd-kill" })).toEqual({ answer: { done: true } });
  expect(etcd.signalCode).toBeNull();
  expect(await exit).toEqual([null, "SIGKILL"]);
  expect(holds.etcd.active).toBe(true);
  // A pid that is no nats-server's any more is left alone.
  expect(await ask({ ...broken, fault: "nats-kill" })).toEqual({ answer: { done: true } });
  expect(await ask({ ...broken, fault: "apiserver-kill" })).toMatchObject({
    error: expect.stringContaining("nothing would bring it back") as unknown,
  });
  expect(await ask({ ask: "lift", drill: "d" })).toEqual({ answer: { done: true } });
  expect([holds.etcd.active, holds.nats.active]).toEqual([false, false]);
  expect(other.signalCode).toBeNull();
  end.abort();
  await running;
  const otherExit = once(other, "exit");
  other.kill("SIGKILL");
  await otherExit;
});

test("dieFor() leaves a process that starts the same program again", async () => {
  const mark = join(directory, "back");
  const script = `require("node:fs").writeFileSync(${JSON.stringify(mark)}, process.argv[1])`;
  let killed = 0;
  dieFor(50, {
    socketPath: join(directory, "nobody.sock"),
    argv: [process.execPath, "-e", script, "a-word"],
    execArgv: [],
    kill: () => void killed++,
  });
  expect(killed).toBe(1);
  await eventually(() => existsSync(mark));
});
