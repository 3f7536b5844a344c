// A report in words for a terminal: the verdict, a line for each service, what went wrong, and a
// timeline in letters. Pure; the HTML page shows the same data.
import type { DrillReport, DrillRun, RecoveryTimes, ServiceResult, Verdict } from "./report.ts";

export interface Paint {
  (style: "red" | "green" | "yellow" | "bold" | "dim", text: string): string;
}

const WIDTH = 72;

export function summarize(report: DrillReport, paint: Paint): string {
  const { id, name, hypothesis, fault, runs, seed } = report;
  const head = [
    `${paint("bold", name)}  ${paintVerdict(report.verdict, paint)}  ${id}`,
    ...(hypothesis === "" ? [] : [hypothesis]),
    `${fault.kind}: ${fault.detail}; ${countOf(runs.length, "run")}, seed ${seed}`,
  ];
  const body = runs.flatMap((run) => runLines(run, { paint, alone: runs.length === 1 }));
  const foot = [...distributionLines(report), `again: ${report.command}`];
  return [...head, "", ...body, ...foot, ""].join("\n");
}

export function paintVerdict(verdict: Verdict, paint: Paint): string {
  if (verdict === "PASS") return paint("green", verdict);
  return paint(verdict === "FAIL" ? "red" : "yellow", verdict);
}

/** Requests over time, one column a slice: who answered, and what failed. */
export function drawTimeline(run: DrillRun, service: ServiceResult): readonly string[] {
  const { buckets } = service;
  const [first, last] = [buckets[0], buckets.at(-1)];
  if (first === undefined || last === undefined) return [];
  const spanMs = last.atMs - first.atMs + 100;
  const sliceMs = Math.max(100, Math.ceil(spanMs / WIDTH / 100) * 100);
  const columns = Math.ceil(spanMs / sliceMs);
  const at = (ms: number): number => Math.floor((ms - first.atMs) / sliceMs);
  const clusters = [...new Set(buckets.flatMap(({ answered }) => Object.keys(answered)))].sort();
  const name = (cluster: string): string => (cluster === "" ? "answered" : cluster);
  const width = Math.max(6, ...clusters.map((cluster) => name(cluster).length));
  const row = (label: string, count: (bucket: (typeof buckets)[number]) => number): string => {
    const cells = Array.from({ length: columns }, () => 0);
    for (const bucket of buckets) {
      const column = at(bucket.atMs);
      cells[column] = (cells[column] ?? 0) + count(bucket);
    }
    const most = Math.max(1, ...cells);
    const letters = cells.map((n) => (n === 0 ? "·" : (SHADES[level(n / most)] ?? "#"))).join("");
    return `  ${label.padEnd(width)} ${letters}`;
  };
  const lines = clusters.map((cluster) =>
    row(name(cluster), ({ answered }) => answered[cluster] ?? 0),
  );
  const bad = buckets.some(({ failed, hung }) => failed + hung > 0)
    ? [row("failed", ({ failed, hung }) => failed + hung)]
    : [];
  const liftedMs = run.liftedAtMs - run.injectedAtMs;
  const marks = Array.from({ length: columns }, () => " ");
  const mark = (ms: number | undefined, letter: string): void => {
    const column = ms === undefined ? -1 : at(ms);
    if (column >= 0 && column < columns) marks[column] = letter;
  };
  mark(service.times.convergedMs, "C");
  mark(service.times.appliedMs, "A");
  mark(service.times.detectedMs, "D");
  mark(0, "▼");
  mark(liftedMs, "▲");
  const legend = "▼ fault, ▲ lifted, D detected, A applied, C converged";
  const scale = `one letter is ${sliceMs} ms; ${legend}`;
  return [
    `  ${" ".repeat(width)} ${marks.join("")}`.trimEnd(),
    ...lines,
    ...bad,
    `  ${" ".repeat(width)} ${scale}`,
  ];
}

const SHADES = ["░", "▒", "▓", "█"] as const;

function level(share: number): number {
  return Math.min(SHADES.length - 1, Math.floor(share * SHADES.length));
}

function runLines(
  run: DrillRun,
  { paint, alone }: { readonly paint: Paint; readonly alone: boolean },
): string[] {
  const title = `run ${run.number}: ${paintVerdict(run.verdict, paint)}`;
  const reasons = run.reasons.map((reason) => `  ${paint("yellow", "!")} ${reason}`);
  const restoration = run.restoration.differences.slice(0, 10).map((line) => `    ${line}`);
  if (!alone) return [title, ...reasons, ...restoration, ""];
  const services = run.services.flatMap((service) => [
    ...serviceLines(service, paint),
    ...(service.inScope ? drawTimeline(run, service) : []),
    "",
  ]);
  return [...services, ...reasons, ...restoration, ...(reasons.length === 0 ? [] : [""])];
}

function serviceLines(service: ServiceResult, paint: Paint): string[] {
  const { requests, flows } = service.ledger;
  const lost = requests.failed + requests.hung;
  const where = service.inScope ? "" : "  (must not be touched)";
  const parts = [
    `${requests.sent} requests: ${requests.answered} answered`,
    `${lost} lost (${requests.failed} failed, ${requests.hung} hung)`,
    ...(requests.duplicated === 0 ? [] : [`${requests.duplicated} answered twice`]),
  ];
  const kept = (["survived", "reset", "moved", "hung"] as const)
    .filter((fate) => flows[fate] > 0)
    .map((fate) => `${flows[fate]} ${fate}`);
  const connections =
    flows.established === 0 ? [] : [`${flows.established} connections: ${kept.join(", ")}`];
  const times = formatTimes(service.times);
  return [
    `${paint("bold", service.service)}  ${paintVerdict(service.verdict, paint)}${where}`,
    `  ${[parts.join(", "), ...connections].join("; ")}`,
    ...(times === "" ? [] : [`  ${times}`]),
  ];
}

const TIME_NAMES: readonly (readonly [keyof RecoveryTimes, string])[] = [
  ["firstErrorMs", "first error"],
  ["detectedMs", "detected"],
  ["decidedMs", "decided"],
  ["appliedMs", "applied"],
  ["firstSuccessMs", "first success"],
  ["convergedMs", "RTO"],
  ["failbackMs", "failback"],
];

function formatTimes(times: RecoveryTimes): string {
  return TIME_NAMES.flatMap(([key, name]) => {
    const ms = times[key];
    return ms === undefined ? [] : [`${name} ${formatMs(ms)}`];
  }).join(", ");
}

function distributionLines({ distributions, runs }: DrillReport): string[] {
  if (runs.length < 2) return [];
  const rows = TIME_NAMES.flatMap(([key, name]) => {
    const found = distributions[key];
    if (found === undefined) return [];
    const { p50, p95, max } = found;
    return [
      `  ${name.padEnd(14)} p50 ${formatMs(p50)}, p95 ${formatMs(p95)}, max ${formatMs(max)}`,
    ];
  });
  return rows.length === 0 ? [] : [`over ${runs.length} runs:`, ...rows, ""];
}

export function formatMs(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
