// The node's canaries: one program at a time, in the pods' cgroup, and the ledger of what it tells.
// The program ends by itself: when its time is up, when it is stopped, when this process is gone.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { CanaryOrder, CanaryRecordsAnswer } from "../../mesh/operations/questions.ts";
import { createCanaryLedger, type CanaryLedger } from "./canary-ledger.ts";
import type { CanaryCommand, CanaryReport } from "./canary/messages.ts";

/** Below the pods' cgroup, so that the socket programs balance what runs in it. */
export const CANARY_CGROUP = "tombolo-canary";

const PROGRAM = fileURLToPath(new URL("./canary/main.ts", import.meta.url));
/** Who has not fetched this many records does not listen: the canaries stop. */
const RECORDS_MAX = 200_000;
/** Its records leave it at once. */
const HEAP_MIB = 96;

export interface CanariesOptions {
  /**
   * The cgroup whose sockets are balanced. Undefined where we are in it ourselves: a container of
   * its own cgroup namespace may put nobody anywhere else.
   */
  readonly cgroupPath: string | undefined;
  readonly log: Logger;
}

export interface CanaryRequest {
  readonly drill: string;
  readonly orders: readonly CanaryOrder[];
  readonly ttlMs: number;
}

export interface Canaries {
  /**
   * In place of what the drill ordered before; the same orders again only renew their time. Rejects
   * with `conflict` while another drill's canaries run.
   */
  order(request: CanaryRequest): Promise<void>;
  /** Rejects with `not_found` if the drill has ordered none. */
  records(request: {
    readonly drill: string;
    readonly from: readonly number[];
  }): CanaryRecordsAnswer;
  /** Ends what runs. */
  close(): Promise<void>;
}

interface Flock {
  readonly drill: string;
  readonly orders: string;
  readonly ledger: CanaryLedger;
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  running: boolean;
}

export function createCanaries(options: CanariesOptions): Canaries {
  return new CanaryKeeper(options);
}

class CanaryKeeper implements Canaries {
  readonly #options: CanariesOptions;
  readonly #cgroup: string | undefined;
  #flock: Flock | undefined;
  /** Orders are carried out one after the other. */
  #last: Promise<void> = Promise.resolve();

  constructor(options: CanariesOptions) {
    this.#options = options;
    const { cgroupPath } = options;
    this.#cgroup = cgroupPath === undefined ? undefined : join(cgroupPath, CANARY_CGROUP);
  }

  order(request: CanaryRequest): Promise<void> {
    const done = this.#last.then(() => this.#carryOut(request));
    this.#last = done.catch(() => {}); // The asker hears of it.
    return done;
  }

  records({ drill, from }: { drill: string; from: readonly number[] }): CanaryRecordsAnswer {
    const flock = this.#flock;
    if (flock?.drill !== drill) {
      throw new MeshError(
        "not_found",
        `Cannot give canary records of drill "${drill}": it has no canaries on this node`,
        { hint: "they end with the agent; order them again" },
      );
    }
    return flock.ledger.read(from);
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#end(this.#flock);
  }

  async #carryOut({ drill, orders, ttlMs }: CanaryRequest): Promise<void> {
    const flock = this.#flock;
    if (flock?.running === true && flock.drill !== drill) {
      throw new MeshError(
        "conflict",
        `Cannot send canaries of drill "${drill}": those of drill "${flock.drill}" run on this node`,
        { hint: `stop that drill, or wait until its canaries have ended` },
      );
    }
    if (orders.length === 0) {
      if (flock?.running === true) tell(flock, { tell: "stop" });
      return;
    }
    const text = JSON.stringify(orders);
    if (flock?.running === true && flock.orders === text) {
      tell(flock, { tell: "renew", ttlMs });
      return;
    }
    await this.#end(flock);
    this.#flock = await this.#start({ drill, orders, ttlMs });
  }

  async #start({ drill, orders, ttlMs }: CanaryRequest): Promise<Flock> {
    const { log } = this.#options;
    if (this.#cgroup !== undefined) await mkdir(this.#cgroup, { recursive: true });
    const child = spawn(
      process.execPath,
      [`--max-old-space-size=${HEAP_MIB}`, "--disable-warning=ExperimentalWarning", PROGRAM],
      { stdio: ["pipe", "pipe", "pipe"], env: {} },
    );
    const ended = new Promise<void>((resolve) => {
      child.once("error", () => resolve());
      child.once("close", () => resolve());
    });
    // A program that has ended takes no orders; its end is seen below.
    child.stdin.on("error", () => {});
    const ledger = createCanaryLedger(orders.length);
    const flock: Flock = {
      drill,
      orders: JSON.stringify(orders),
      ledger,
      child,
      ended,
      running: true,
    };
    createInterface({ input: child.stdout }).on("line", (line) => {
      ledger.add(JSON.parse(line) as CanaryReport);
      if (ledger.size > RECORDS_MAX) tell(flock, { tell: "stop" });
    });
    let lastWords = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      lastWords = (lastWords + chunk).slice(-500);
    });
    void ended.then(async () => {
      flock.running = false;
      const reason = lastWords.trim();
      if (reason !== "") log.warn("Canaries have ended", { drill, reason });
      const { cgroupPath } = this.#options;
      if (cgroupPath !== undefined) await removeCanaryCgroup(cgroupPath);
    });
    try {
      // In its cgroup before it has its first order: no call goes out unbalanced.
      if (this.#cgroup !== undefined) {
        await writeFile(join(this.#cgroup, "cgroup.procs"), String(child.pid ?? -1));
      }
    } catch (cause) {
      child.kill("SIGKILL");
      await ended;
      throw new MeshError("unavailable", `Cannot put canaries into cgroup "${this.#cgroup}"`, {
        cause,
      });
    }
    tell(flock, { tell: "begin", orders, ttlMs });
    log.info("Canaries are sent", { drill, orders: orders.length, pid: child.pid });
    return flock;
  }

  async #end(flock: Flock | undefined): Promise<void> {
    if (flock === undefined) return;
    flock.child.stdin?.end();
    await flock.ended;
  }
}

/** Also what an agent that was killed has left. Whatever still runs in it keeps it. */
export async function removeCanaryCgroup(cgroupPath: string): Promise<void> {
  try {
    await rmdir(join(cgroupPath, CANARY_CGROUP));
  } catch {
    // Not there, or in use: an empty cgroup does nothing.
  }
}

function tell(flock: Flock, command: CanaryCommand): void {
  if (flock.child.stdin?.writable === true) flock.child.stdin.write(`${JSON.stringify(command)}\n`);
}
