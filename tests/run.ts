// What `npm test` does: runs every tier that this machine can run, one after another, names
// loudly what it skipped and why, and ends with the line "N passed, N failed". With CI=true
// whatever is skipped is a failure. `npm test -- unit tests/unit/pki -t pattern` narrows the run.
import { spawn, type ChildProcess } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import {
  lastLine,
  parseRunRequest,
  resultFromJest,
  resultOfSkippedTier,
  SERIAL_TIERS,
  skipReasons,
  type JestOutcome,
  type JestReport,
  type Need,
  type RunRequest,
  type Tier,
  type TierResult,
} from "./tiers.ts";

/** CI gives 90 minutes for everything; no tier needs half of this on two slow cores. */
const TIER_LIMIT_MS = 45 * 60_000;
/** From Jest's report to its end. Whatever keeps it alive longer was leaked by a test. */
const EXIT_GRACE_MS = 15_000;
/** From a polite end to the hard one: tests remove namespaces and processes in between. */
const KILL_GRACE_MS = 10_000;

const strict = process.env["CI"] === "true";
const request = parseRunRequest(process.argv.slice(2));
const missing = findMissingNeeds();
const directory = mkdtempSync(join(tmpdir(), "tombolo-test-run-"));
const interruption = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(name, () => interruption.abort(name));

const results: TierResult[] = [];
try {
  for (const tier of request.tiers) {
    if (interruption.signal.aborted) break;
    results.push(await runTier(tier));
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
const failed = results.some((result) => result.failed > 0) || interruption.signal.aborted;
process.stdout.write(`\n${summary(results)}\n${lastLine(results)}\n`);
process.exitCode = failed || (strict && results.some((result) => result.skipped > 0)) ? 1 : 0;

async function runTier(tier: Tier): Promise<TierResult> {
  const reasons = skipReasons(tier, missing);
  if (reasons.length > 0) {
    process.stdout.write(`\n##### ${tier}: SKIPPED: ${reasons.join("; ")} #####\n`);
    return resultOfSkippedTier(tier, reasons, { strict });
  }
  process.stdout.write(`\n##### ${tier} #####\n`);
  return resultFromJest(tier, await runJest(tier, request), request);
}

function runJest(tier: Tier, { jestArguments, narrowed }: RunRequest): Promise<JestOutcome> {
  const reportPath = join(directory, `${tier}.json`);
  const startMs = performance.now();
  const workers = SERIAL_TIERS.has(tier)
    ? ["--runInBand"]
    : [`--maxWorkers=${availableParallelism()}`];
  const child = spawn(
    process.execPath,
    [
      "--experimental-vm-modules",
      "--disable-warning=ExperimentalWarning",
      "node_modules/jest/bin/jest.js",
      `--selectProjects=${tier}`,
      "--json",
      `--outputFile=${reportPath}`,
      ...workers,
      ...(narrowed ? ["--passWithNoTests"] : []),
      ...jestArguments,
    ],
    {
      // Its own process group, so that workers and daemons end with it.
      detached: true,
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, NODE_OPTIONS: nodeOptions() },
    },
  );
  return new Promise((resolve) => {
    let ended: string | undefined;
    const end = (reason: string): void => {
      ended ??= reason;
      endGroup(child);
    };
    const limit = setTimeout(
      () => end(`Ended after ${TIER_LIMIT_MS / 60_000} minutes`),
      TIER_LIMIT_MS,
    );
    let reportedMs: number | undefined;
    const watch = setInterval(() => {
      if (!existsSync(reportPath)) return;
      reportedMs ??= performance.now();
      if (performance.now() - reportedMs > EXIT_GRACE_MS)
        end("Jest did not end by itself: a test left something open");
    }, 500);
    const onInterrupt = (): void => end(`Interrupted by ${String(interruption.signal.reason)}`);
    interruption.signal.addEventListener("abort", onInterrupt, { once: true });
    child.on("close", (exitStatus) => {
      clearTimeout(limit);
      clearInterval(watch);
      interruption.signal.removeEventListener("abort", onInterrupt);
      signalGroup(child, "SIGKILL");
      const seconds = (performance.now() - startMs) / 1_000;
      resolve({ report: readReport(reportPath), exitStatus, ended, seconds });
    });
    child.on("error", (error) => end(error.message));
  });
}

/** Workers are started by Jest with NODE_OPTIONS and not with our arguments. */
function nodeOptions(): string {
  return [process.env["NODE_OPTIONS"], "--experimental-vm-modules"]
    .filter((option) => option !== undefined)
    .join(" ");
}

function endGroup(child: ChildProcess): void {
  signalGroup(child, "SIGTERM");
  setTimeout(() => signalGroup(child, "SIGKILL"), KILL_GRACE_MS).unref();
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended already, which is what was wanted.
  }
}

function readReport(path: string): JestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as JestReport;
  } catch {
    return undefined; // Not written, or cut off: the caller counts it as a failure.
  }
}

/** What this machine lacks, in words. */
function findMissingNeeds(): Map<Need, string> {
  const missingNeeds = new Map<Need, string>();
  if (process.getuid?.() !== 0) missingNeeds.set("root", "needs root (eBPF, namespaces)");
  else if (!hasCapabilities())
    missingNeeds.set("root", "needs CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN");
  for (const tool of ["etcd", "clang", "bpftool", "ip", "containerd", "chromium"] as const)
    if (!isInPath(tool)) missingNeeds.set(tool, `needs ${tool} in PATH`);
  if (!isInPath("qemu-system-x86_64")) missingNeeds.set("qemu", "needs qemu-system-x86_64 in PATH");
  if (!readdirSync("/boot").some((file) => /^vmlinuz-6\.1\.0-\d+-amd64$/.test(file)))
    missingNeeds.set("kernel-6.1", "needs Debian 12's kernel in /boot (linux-image-amd64)");
  if (!hasKubernetes())
    missingNeeds.set(
      "kubernetes",
      "needs KUBEBUILDER_ASSETS, a folder with kube-apiserver (setup-envtest makes one, or build it from Kubernetes' source)",
    );
  if (!/ cgroup2 /.test(readFileSync("/proc/mounts", "utf8")))
    missingNeeds.set("cgroup2", "needs a mounted cgroup2 hierarchy");
  return missingNeeds;
}

/** Root in a container may lack what root usually has (linux/capability.h: 12, 21, 39). */
function hasCapabilities(): boolean {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  const effective = BigInt(`0x${hex ?? "0"}`);
  return [12n, 21n, 39n].every((bit) => ((effective >> bit) & 1n) === 1n);
}

/** The variable that Kubernetes projects share for a folder with its binaries. */
function hasKubernetes(): boolean {
  const assets = process.env["KUBEBUILDER_ASSETS"] ?? "";
  return assets !== "" && existsSync(join(assets, "kube-apiserver"));
}

function isInPath(tool: string): boolean {
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return directories.some((path) => {
    try {
      accessSync(join(path, tool), constants.X_OK);
      return true;
    } catch {
      return false; // Not in this directory.
    }
  });
}

function summary(rows: readonly TierResult[]): string {
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(12) : cell.padStart(8))).join("");
  const lines = [line(["tier", "passed", "failed", "skipped", "time"])];
  for (const { tier, passed, failed: failures, skipped, seconds, notes } of rows) {
    lines.push(
      line([tier, String(passed), String(failures), String(skipped), `${seconds.toFixed(1)} s`]),
      ...notes.map((note) => `            ${note}`),
    );
  }
  return lines.join("\n");
}
