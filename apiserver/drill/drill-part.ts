// The apiserver's part in drills, put together: what answers questions over the operations plane.
import type { Clock } from "../../mesh/core/clock.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { Task } from "../../mesh/core/tasks.ts";
import { releaseDrillLock, takeDrillLock } from "../../mesh/kvstore/drill-lock.ts";
import { createEtcdConnection, type EtcdConnection } from "../../mesh/kvstore/etcd-connection.ts";
import type { TlsFiles } from "../../mesh/kvstore/tls.ts";
import { serveQuestions } from "../../mesh/operations/ask.ts";
import type { OperationsConnection } from "../../mesh/operations/connection.ts";
import { APISERVER_NODE } from "../../mesh/operations/subjects.ts";
import { commandLine, signalProcess } from "../daemon/process.ts";
import { createApiserverAnswers } from "./answer.ts";
import { createDaemonFaults, type HeldDaemon } from "./daemon-faults.ts";
import { createHold, type Hold } from "./hold.ts";

/** An answer is on its way after this long. */
const ANSWER_MS = 250;

export interface DrillHolds {
  readonly etcd: Hold;
  readonly nats: Hold;
  readonly sessions: Hold;
}

export interface ApiserverDrillOptions {
  readonly cluster: string;
  readonly version: string;
  readonly nodes: () => readonly string[];
  readonly peers: () => readonly string[];
  readonly holds: DrillHolds;
  /** The pid of the daemon that we keep running, 0 while it does not; undefined if others keep it. */
  readonly etcdPid: (() => number) | undefined;
  readonly natsPid: (() => number) | undefined;
  /** SIGKILL to this process, which is started again after so long; undefined if it cannot be. */
  readonly die: ((ttlMs: number) => void) | undefined;
  readonly etcd: {
    readonly endpoints: readonly string[];
    readonly tls: TlsFiles;
    readonly serverName: string;
  };
  readonly connection: OperationsConnection;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export function createDrillHolds(clock: Clock): DrillHolds {
  return { etcd: createHold(clock), nats: createHold(clock), sessions: createHold(clock) };
}

export function createApiserverDrillTask(options: ApiserverDrillOptions): Task {
  const { cluster, holds, etcdPid, natsPid, connection, clock } = options;
  const log = options.log.with({ part: "drill" });
  return {
    name: "drill questions",
    async run(signal) {
      const faults = createDaemonFaults({
        etcd: heldDaemon("etcd", { hold: holds.etcd, pid: etcdPid }),
        nats: heldDaemon("nats-server", { hold: holds.nats, pid: natsPid }),
        sessions: holds.sessions,
        die: options.die,
        afterAnswer: () => clock.sleep(ANSWER_MS, signal),
        clock,
        log,
      });
      const locks = {
        take: (lock: Parameters<typeof takeDrillLock>[1]) =>
          withEtcd(options, (etcd) => takeDrillLock(etcd, lock, signal)),
        release: (drill: string) =>
          withEtcd(options, (etcd) => releaseDrillLock(etcd, drill, signal)),
      };
      const handler = createApiserverAnswers({ ...options, locks, faults });
      const place = { cluster, node: APISERVER_NODE };
      await serveQuestions(connection, { place, handler }, signal);
    },
  };
}

function heldDaemon(
  program: string,
  { hold, pid }: { readonly hold: Hold; readonly pid: (() => number) | undefined },
): HeldDaemon | undefined {
  if (pid === undefined) return undefined;
  return {
    hold,
    async kill() {
      const found = pid();
      // A pid that was given to somebody else meanwhile is never signalled.
      const line = found === 0 ? undefined : await commandLine(found);
      if (line?.[0]?.endsWith(program) === true) signalProcess(found, "SIGKILL");
    },
  };
}

/** A connection for one use: drills are rare, and etcd is asked by nobody else this way. */
async function withEtcd<T>(
  options: ApiserverDrillOptions,
  use: (etcd: EtcdConnection) => Promise<T>,
): Promise<T> {
  const etcd = createEtcdConnection({ ...options, ...options.etcd });
  try {
    return await use(etcd);
  } finally {
    etcd.close();
  }
}
