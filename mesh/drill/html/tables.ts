// The report's tables. Each scrolls by itself on a narrow page.
import type { DrillReport, Ledger, Objectives, ServiceResult, TimelineMark } from "../report.ts";
import { formatCount, formatMs, formatPercent, formatTime } from "./format.ts";
import { html, NOTHING, type Content, type Markup } from "./markup.ts";

/** A page with every mark of a long drill would be no page; the JSON has all of them. */
const MARKS_SHOWN = 200;

interface Cell {
  readonly content: Content;
  readonly kind?: "number" | "bad" | "number bad";
}

function table(headers: readonly Cell[], rows: readonly (readonly Cell[])[]): Markup {
  const row = (name: "th" | "td", cells: readonly Cell[]): Markup => ({
    markup: cells
      .map(({ content, kind = "" }) => {
        const { markup } = html`${content}`;
        return `<${name} class="${kind}">${markup}</${name}>`;
      })
      .join(""),
  });
  return html`<div class="scroll">
    <table>
      <tr>
        ${row("th", headers)}
      </tr>
      ${rows.map(
        (cells) =>
          html`<tr>
            ${row("td", cells)}
          </tr>`,
      )}
    </table>
  </div>`;
}

const text = (content: Content): Cell => ({ content });
const number = (content: Content): Cell => ({ content, kind: "number" });

/** How each objective is called, what was measured for it, and how both read. */
const OBJECTIVES: readonly {
  readonly name: keyof Objectives;
  readonly label: string;
  readonly measured: (service: ServiceResult) => number | undefined;
  readonly format: (value: number | undefined) => string;
}[] = [
  {
    name: "rtoMs",
    label: "recovery time",
    measured: ({ times }) => times.convergedMs,
    format: formatMs,
  },
  {
    name: "maxLostRequests",
    label: "lost requests",
    measured: ({ ledger }) => lostOf(ledger),
    format: formatNumber,
  },
  {
    name: "maxErrorRatio",
    label: "share of requests lost",
    measured: ({ ledger }) =>
      ledger.requests.sent === 0 ? undefined : lostOf(ledger) / ledger.requests.sent,
    format: (value) => (value === undefined ? "–" : formatPercent(value)),
  },
  {
    name: "maxHungFlows",
    label: "hung flows",
    measured: ({ ledger }) => ledger.flows.hung,
    format: formatNumber,
  },
  {
    name: "maxP99Ms",
    label: "latency p99 during the fault",
    measured: ({ latency }) => latency.duringP99Ms,
    format: formatMs,
  },
  {
    name: "maxReconnects",
    label: "connections reset",
    measured: ({ ledger }) => ledger.flows.reset,
    format: formatNumber,
  },
  {
    name: "failbackRtoMs",
    label: "time to return",
    measured: ({ times }) => times.failbackMs,
    format: formatMs,
  },
];

/** What was promised and what was found, for the objectives that were asked for. */
export function objectiveTable(service: ServiceResult): Markup {
  const asked = OBJECTIVES.filter(({ name }) => service.objectives[name] !== undefined);
  if (asked.length === 0) return NOTHING;
  return table(
    [text("objective"), number("at most"), number("measured")],
    asked.map(({ name, label, measured, format }) => {
      const limit = service.objectives[name];
      const value = measured(service);
      const missed = value !== undefined && limit !== undefined && value > limit;
      return [
        text(label),
        number(format(limit)),
        { content: format(value), kind: missed ? "number bad" : "number" },
      ];
    }),
  );
}

export function flowTable(services: readonly ServiceResult[]): Markup {
  const headers = ["established before", "survived", "moved", "reset", "hung"];
  return table(
    [text("service"), text("scope"), ...headers.map(number)],
    services.map(({ service, inScope, ledger: { flows } }) => [
      text(service),
      text(inScope ? "in" : "outside"),
      ...[flows.established, flows.survived, flows.moved, flows.reset].map((count) =>
        number(formatCount(count)),
      ),
      { content: formatCount(flows.hung), kind: flows.hung > 0 ? "number bad" : "number" },
    ]),
  );
}

export function timelineTable(marks: readonly TimelineMark[]): Markup {
  const shown = marks.slice(0, MARKS_SHOWN);
  const left = marks.length - shown.length;
  return html`${table(
    [number("after the fault"), text("node"), text("about"), text("what")],
    shown.map(({ atMs, node, cluster, what, text: sentence }) => [
      number(formatMs(atMs)),
      text(node),
      text(cluster),
      text(sentence === "" ? what : `${what}: ${sentence}`),
    ]),
  )}
  ${left > 0 ? html`<p class="soft">${formatCount(left)} more stand in the JSON.</p>` : NOTHING}`;
}

/** A row a run, and below it how the figures are spread. */
export function runTable({ runs, distributions }: DrillReport): Markup {
  const worst = (services: readonly ServiceResult[], of: (s: ServiceResult) => number): number =>
    Math.max(0, ...services.filter(({ inScope }) => inScope).map(of));
  return html`${table(
    [number("run"), text("begun"), text("verdict"), number("recovery"), number("lost")],
    runs.map(({ number: run, startedAtMs, verdict, services }) => [
      number(run),
      text(formatTime(startedAtMs)),
      { content: verdict, ...(verdict === "PASS" ? {} : { kind: "bad" as const }) },
      number(formatMs(worst(services, ({ times }) => times.convergedMs ?? 0))),
      number(formatCount(worst(services, ({ ledger }) => lostOf(ledger)))),
    ]),
  )}
  ${table(
    [text("over all runs"), number("p50"), number("p95"), number("max")],
    Object.entries(distributions).map(([name, { p50, p95, max }]) => [
      text(PART_NAMES[name] ?? name),
      number(formatMs(p50)),
      number(formatMs(p95)),
      number(formatMs(max)),
    ]),
  )}`;
}

const PART_NAMES: Readonly<Record<string, string>> = {
  firstErrorMs: "first failed request",
  detectedMs: "detected",
  decidedMs: "decided",
  appliedMs: "applied",
  firstSuccessMs: "first success elsewhere",
  convergedMs: "nothing fails any more (RTO)",
  failbackMs: "traffic is back after the fault",
};

function lostOf({ requests }: Ledger): number {
  return requests.failed + requests.hung;
}

function formatNumber(value: number | undefined): string {
  return value === undefined ? "–" : formatCount(value);
}
