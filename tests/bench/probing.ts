// What an agent spends on knowing how others are: user and system time of a process that probes 10,
// 50 and 255 clusters ten times a second, over real sockets, a real tunnel and real maps, with a
// judge that judges. Everything that is probed answers. Beside it a process with nobody to probe,
// and whole agents of a lab that is left alone.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { listProcesses } from "../../deploy/lab/cgroups.ts";
import { labDaemons } from "../../deploy/lab/daemons.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { CLUSTERS } from "../e2e/failover-lab.ts";
import { createTestLab, mustSucceed } from "../e2e/test-lab.ts";
import {
  formatNumber,
  measureRounds,
  median,
  type Benchmark,
  type BenchmarkContext,
  type Measurement,
  type Verdict,
} from "./benchmark.ts";
import type { ProbingSample } from "./probing-node.ts";
import { createProbingSite, type ProbingSite } from "./probing-site.ts";

const SIZES = [0, 10, 50, 255];
const GOAL_SIZE = 50;
const GOAL_PERCENT = 1;
const SECONDS = 20;
const QUICK_SECONDS = 3;
/** Code is compiled, windows fill, everything is found healthy. */
const WARM_UP_MS = 5_000;
const NODE = fileURLToPath(new URL("./probing-node.ts", import.meta.url));
const LAB_AGENT = "agent in a lab of 3 clusters, idle";
/** Of /proc/PID/stat: USER_HZ, which Linux has fixed. */
const TICKS_PER_SECOND = 100;

export const probing: Benchmark = {
  name: "probing",
  title: "CPU time of probing other clusters ten times a second, three nodes each, IPv4 and IPv6",
  async run(context) {
    const notes = new Map<number, string>();
    const site = await createProbingSite(context.directory);
    let measurements: Measurement[];
    try {
      const contestants = SIZES.map((clusters) => ({
        name: nameOf(clusters),
        run: async () => {
          const { percent, note } = await measureOnce(site, clusters, context);
          notes.set(clusters, note);
          return percent;
        },
      }));
      measurements = await measureRounds(contestants, { ...context, unit: "% of a core" });
    } finally {
      await site.remove();
    }
    const idle = await measureLabAgents(context);
    return {
      measurements: [...measurements, idle],
      verdicts: [verdictOf(measurements, nameOf(GOAL_SIZE)), verdictOf([idle], LAB_AGENT)],
      notes: [
        ...notes.values(),
        "the answering node is on this machine: part of its work is counted as the prober's system time",
      ],
    };
  },
};

function nameOf(clusters: number): string {
  return clusters === 0 ? "health loop, nobody to probe" : `probing ${clusters} clusters`;
}

async function measureOnce(
  site: ProbingSite,
  clusters: number,
  context: BenchmarkContext,
): Promise<{ percent: number; note: string }> {
  const argv = [process.execPath, NODE, site.nearRoot, String(clusters)];
  const child = spawn(...site.onNear(argv), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = once(child, "exit");
  const next = async <T>(): Promise<T> => {
    const gone = ended.then(() => Promise.reject(new Error("Cannot go on: the prober has ended")));
    const [message] = (await Promise.race([once(child, "message"), gone])) as [T];
    return message;
  };
  const sample = (): Promise<ProbingSample> => {
    child.send("sample");
    return next<ProbingSample>();
  };
  try {
    await next();
    await systemClock.sleep(WARM_UP_MS, context.signal);
    const before = await sample();
    await systemClock.sleep(secondsOf(context) * 1_000, context.signal);
    const after = await sample();
    if (after.healthy < clusters) {
      const found = `${after.healthy} of ${clusters} clusters are healthy`;
      throw new Error(`Cannot measure probing: ${found}`);
    }
    return { percent: percentOf(before, after), note: noteOf(clusters, before, after) };
  } finally {
    if (child.connected) child.disconnect();
    await ended;
  }
}

function secondsOf({ quick }: BenchmarkContext): number {
  return quick ? QUICK_SECONDS : SECONDS;
}

function percentOf(before: ProbingSample, after: ProbingSample): number {
  const spentUs = after.userUs - before.userUs + after.systemUs - before.systemUs;
  return spentUs / 10 / (after.atMs - before.atMs);
}

function noteOf(clusters: number, before: ProbingSample, after: ProbingSample): string {
  const of = (name: keyof ProbingSample): number => after[name] - before[name];
  const seconds = of("atMs") / 1_000;
  const percent = (name: "userUs" | "systemUs"): string => formatNumber(of(name) / 1e4 / seconds);
  return (
    `${nameOf(clusters)}: user ${percent("userUs")} %, system ${percent("systemUs")} %; ` +
    `${after.targets} targets, ${Math.round(of("sent") / seconds)} probes/s, ` +
    `${Math.round(of("answered") / seconds)} answers/s, ` +
    `${formatNumber(of("rounds") / seconds)} rounds/s, ${of("blindRounds")} blind`
  );
}

/** Every agent of a lab that is left alone: one value an agent. */
async function measureLabAgents(context: BenchmarkContext): Promise<Measurement> {
  const lab = createTestLab("bench");
  try {
    context.say("  a lab of three clusters is brought up and connected");
    mustSucceed(await lab.up(["--clusters", CLUSTERS.join(","), "--nodes", "2"]));
    context.signal.throwIfAborted();
    mustSucceed(await lab.mesh(["connect", "--all", ...CLUSTERS]));
    const host = await lab.open();
    const agents = labDaemons(host.plan, host.cgroupRoot).filter(({ name }) =>
      name.endsWith(".agent"),
    );
    const pids = (await Promise.all(agents.map(({ cgroup }) => listProcesses(cgroup)))).flat();
    await systemClock.sleep(2 * WARM_UP_MS, context.signal);
    const before = pids.map(cpuSecondsOf);
    const startedMs = performance.now();
    await systemClock.sleep(secondsOf(context) * 1_000, context.signal);
    const seconds = (performance.now() - startedMs) / 1_000;
    const values = pids.map((pid, i) => (100 * (cpuSecondsOf(pid) - (before[i] ?? 0))) / seconds);
    return { name: LAB_AGENT, unit: "% of a core", median: median(values), values };
  } finally {
    await lab.remove();
  }
}

/** User and system time, proc_pid_stat(5); the second field is in parentheses. */
function cpuSecondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function verdictOf(measurements: readonly Measurement[], name: string): Verdict {
  const percent = measurements.find((one) => one.name === name)?.median ?? Number.NaN;
  const goal = { kind: "at most", ratio: 1 } as const;
  const ratio = percent / GOAL_PERCENT;
  return { what: `${name} / ${GOAL_PERCENT} % of a core`, ratio, goal, met: ratio <= 1 };
}
