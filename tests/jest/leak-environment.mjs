// The environment of every test file: Node's, plus a check that the file left nothing behind that
// keeps a process alive (sockets, servers, timers, watchers), no child process and no open BPF
// object. What counts is the difference between before and after; closing may take a moment.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { TestEnvironment } from "jest-environment-node";

/** Sockets and processes end a few turns after they were told to; a real leak outlives this. */
const SETTLE_MS = 3_000;
const POLL_MS = 20;

/** Node's and Jest's own: requests under way, standard streams, messages to the parent. */
const NOT_LEAKS = new Set([
  "Immediate",
  "FSReqCallback",
  "FSReqPromise",
  "TTYWrap",
  "WORKER",
  "MessagePort",
]);

export default class LeakEnvironment extends TestEnvironment {
  #before;

  async setup() {
    await super.setup();
    // Node opens its standard streams when they are first used, which is no test's doing.
    void [process.stdout, process.stderr];
    this.#before = snapshot();
  }

  async handleTestEvent(event, state) {
    if (event.name !== "run_finish") return;
    const leaks = await settledLeaks(this.#before);
    if (leaks.length === 0) return;
    const error = new Error(
      `The test file left behind: ${leaks.join(", ")}. Close what the tests open, in afterEach or afterAll`,
    );
    error.stack = error.message;
    state.unhandledErrors.push(error);
  }
}

async function settledLeaks(before) {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const leaks = difference(before, snapshot());
    if (leaks.length === 0 || performance.now() > deadline) return leaks;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** How many there are of each kind of thing that can leak. */
function snapshot() {
  const counts = new Map();
  const add = (kind) => counts.set(kind, (counts.get(kind) ?? 0) + 1);
  for (const kind of process.getActiveResourcesInfo()) if (!NOT_LEAKS.has(kind)) add(kind);
  for (const pid of childProcesses()) add(`child process ${pid}`);
  for (const kind of openBpfObjects()) add(kind);
  return counts;
}

function difference(before, after) {
  const leaks = [];
  for (const [kind, count] of after) {
    const extra = count - (before.get(kind) ?? 0);
    if (extra > 0) leaks.push(extra === 1 ? kind : `${extra} × ${kind}`);
  }
  return leaks;
}

function childProcesses() {
  const pids = [];
  for (const task of readdirSync("/proc/self/task")) {
    try {
      const text = readFileSync(`/proc/self/task/${task}/children`, "utf8");
      pids.push(
        ...text
          .split(" ")
          .filter((pid) => pid !== "")
          .map(describeProcess),
      );
    } catch {
      // The thread has ended, or this kernel keeps no such file; the other checks remain.
    }
  }
  return pids;
}

function describeProcess(pid) {
  try {
    return `${pid} (${readFileSync(`/proc/${pid}/comm`, "utf8").trim()})`;
  } catch {
    return pid; // Gone meanwhile; the next look will not see it.
  }
}

function openBpfObjects() {
  const kinds = [];
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      if (/^anon_inode:.*bpf/.test(target)) kinds.push(`open ${target}`);
    } catch {
      // The descriptor of this very listing.
    }
  }
  return kinds;
}
