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
  readonly die: ((ttlMs: number) => void) | undefined;
  /** Resolves when the answer that is being given is on its way: what carries it may be killed. */
  readonly afterAnswer: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface BreakRequest {
  readonly drill: string;
  readonly fault: DaemonFault;
  readonly ttlMs: number;
}

export interface DaemonFaults {
  /** Done a moment after it resolves. Rejects with `conflict` while another drill breaks something, `unsupported` for what is not ours. */
  break(request: BreakRequest): Promise<void>;
  /** Of that drill, or of any for "". */
  lift(drill: string): void;
}

const WOULD_NOT_RETURN =
  "Cannot kill the apiserver: it was not started by its program, so nothing would bring it back";

export function createDaemonFaults(options: DaemonFaultsOptions): DaemonFaults {
  const { etcd, nats, sessions, clock, log } = options;
  const holds = [etcd?.hold, nats?.hold, sessions].filter((hold) => hold !== undefined);
  let breaker = "";

  function kill(
    daemon: HeldDaemon | undefined,
    { name, untilMs }: { readonly name: string; readonly untilMs: number },
  ): void {
    if (daemon === undefined) {
      throw new MeshError(
        "unsupported",
        `Cannot kill ${name}: this apiserver does not run it; end it where it runs`,
      );
    }
    daemon.hold.begin(untilMs);
    void killLater(daemon);
  }

  async function killLater(daemon: HeldDaemon): Promise<void> {
    try {
      await options.afterAnswer();
      // Lifted meanwhile: it lives.
      if (daemon.hold.active) await daemon.kill();
    } catch (error) {
      log.warn("A drill could not break a daemon", { error });
    }
  }

  async function dieLater(die: (ttlMs: number) => void, ttlMs: number): Promise<void> {
    try {
      await options.afterAnswer();
      die(ttlMs);
    } catch (error) {
      log.warn("A drill could not end this process", { error });
    }
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
      if (fault === "etcd-kill") kill(etcd, { name: "etcd", untilMs });
      else if (fault === "nats-kill") kill(nats, { name: "nats-server", untilMs });
      else if (fault === "sessions-cut") sessions.begin(untilMs);
      else if (options.die === undefined) throw new MeshError("unsupported", WOULD_NOT_RETURN);
      else void dieLater(options.die, lastsMs);
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
