// Faults of daemons: killed as an accident would kill them, and kept from coming back until the
// deadline. Deadlines are in memory: if this process dies, everything comes back at once.
import type { Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { BREAK_TTL_MAX_MS, type DaemonFault } from "../../mesh/operations/questions.ts";
import type { Hold } from "./hold.ts";

/** A daemon that we keep running. */
export interface HeldDaemon {
  /** What keeps it from being started again. */
  readonly hold: Hold;
  /** SIGKILL; nothing if it does not run. */
  kill(): Promise<void>;
}

export interface DaemonFaultsOptions {
  /** Undefined where somebody else keeps it running. */
  readonly etcd: HeldDaemon | undefined;
  readonly nats: HeldDaemon | undefined;
  /** Of every session with a peer's etcd. */
  readonly sessions: Hold;
  /** Kills this process, which is back after so long; undefined if it would not be. */
  readonly die: ((ttlMs: number) => Promise<void>) | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface BreakRequest {
  readonly drill: string;
  readonly fault: DaemonFault;
  readonly ttlMs: number;
}

export interface DaemonFaults {
  /** Rejects with `conflict` while another drill breaks something, `unsupported` for what is not ours. */
  break(request: BreakRequest): Promise<void>;
  /** Of that drill, or of any for "". */
  lift(drill: string): void;
}

/** An answer needs this long to be on its way. */
export const DIE_AFTER_MS = 250;

const WOULD_NOT_RETURN =
  "Cannot kill the apiserver: it was not started by its program, so nothing would bring it back";

export function createDaemonFaults(options: DaemonFaultsOptions): DaemonFaults {
  const { etcd, nats, sessions, clock, log } = options;
  const holds = [etcd?.hold, nats?.hold, sessions].filter((hold) => hold !== undefined);
  let breaker = "";

  async function kill(
    daemon: HeldDaemon | undefined,
    { name, untilMs }: { readonly name: string; readonly untilMs: number },
  ): Promise<void> {
    if (daemon === undefined) {
      throw new MeshError(
        "unsupported",
        `Cannot kill ${name}: this apiserver does not run it; end it where it runs`,
      );
    }
    daemon.hold.begin(untilMs);
    await daemon.kill();
  }

  return {
    async break({ drill, fault, ttlMs }) {
      if (breaker !== drill && holds.some(({ active }) => active)) {
        throw new MeshError(
          "conflict",
          `Cannot break anything for drill "${drill}": drill "${breaker}" does`,
          { hint: "stop that drill first" },
        );
      }
      const lastsMs = Math.min(ttlMs, BREAK_TTL_MAX_MS);
      const untilMs = clock.monotonicMs() + lastsMs;
      if (fault === "etcd-kill") await kill(etcd, { name: "etcd", untilMs });
      else if (fault === "nats-kill") await kill(nats, { name: "nats-server", untilMs });
      else if (fault === "sessions-cut") sessions.begin(untilMs);
      else if (options.die === undefined) throw new MeshError("unsupported", WOULD_NOT_RETURN);
      else void options.die(lastsMs).catch(() => {}); // Cut short by the end of this process.
      breaker = drill;
      log.warn("A drill breaks a daemon", { drill, fault, ttlMs: lastsMs });
    },
    lift(drill) {
      if (drill !== "" && drill !== breaker) return;
      for (const hold of holds) hold.end();
      log.info("Faults of drills are lifted", { drill });
    },
  };
}
