// The report as one HTML page that needs nothing else: no script, no font, no picture from
// anywhere. A manager reads its top, an engineer the rest. Made from the report alone.
import { serviceChart } from "./html/chart.ts";
import { formatCount, formatMs, formatPercent, formatTime } from "./html/format.ts";
import { html, NOTHING, type Markup } from "./html/markup.ts";
import { PART_COLOURS, STYLE } from "./html/style.ts";
import { flowTable, objectiveTable, runTable, timelineTable } from "./html/tables.ts";
import type { DrillReport, DrillRun, RecoveryTimes, ServiceResult } from "./report.ts";

/** The parts of a recovery, in the order in which they come, with what each ends with. */
const PARTS: readonly { readonly end: keyof RecoveryTimes; readonly text: string }[] = [
  { end: "detectedMs", text: "until it was detected" },
  { end: "decidedMs", text: "until it was decided" },
  { end: "appliedMs", text: "until it was applied" },
  { end: "convergedMs", text: "until nothing failed" },
];

/** A whole document. */
export function renderHtml(report: DrillReport): string {
  const [first] = report.runs;
  const title = `${report.verdict}: ${report.name}`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${{ markup: STYLE }}
        </style>
      </head>
      <body>
        <main>
          ${head(report)} ${keyFigures(report)}
          ${
            report.runs.length > 1
              ? html`<h2>Runs</h2>
                  ${runTable(report)}`
              : NOTHING
          }
          ${first === undefined ? NOTHING : runSections(report, first)} ${evidence(report)}
        </main>
      </body>
    </html>`.markup;
}

function head(report: DrillReport): Markup {
  const [first] = report.runs;
  const { kind, cluster, detail } = report.fault;
  const reasons = [...new Set(report.runs.flatMap((run) => run.reasons))];
  return html`<header class="head">
      <div>
        <h1>${report.name}</h1>
        <p class="soft">
          ${kind} of ${cluster}${detail === "" ? "" : `: ${detail}`}
          ${first === undefined ? "" : `· ${formatTime(first.startedAtMs)}`} · clusters
          ${report.clusters.join(", ")}
        </p>
      </div>
      <span class="verdict ${report.verdict}">${words(report.verdict)}</span>
    </header>
    ${report.hypothesis === "" ? NOTHING : html`<p>Hypothesis: ${report.hypothesis}</p>`}
    ${
      reasons.length === 0
        ? NOTHING
        : html`<ul class="reasons">
            ${reasons.map((reason) => html`<li>${reason}</li>`)}
          </ul>`
    }`;
}

/** Over all runs and services of the scope: what everybody wants to know first. */
function keyFigures({ runs }: DrillReport): Markup {
  const all = runs.flatMap(({ services }) => services);
  const scope = all.filter(({ inScope }) => inScope);
  const others = all.filter(({ inScope }) => !inScope);
  const recoveries = scope.flatMap(({ times }) => times.convergedMs ?? []);
  const lost = sum(scope, ({ ledger }) => ledger.requests.failed + ledger.requests.hung);
  const sent = sum(scope, ({ ledger }) => ledger.requests.sent);
  const hung = sum(scope, ({ ledger }) => ledger.flows.hung + ledger.requests.hung);
  const collateral = sum(others, ({ ledger }) => ledger.requests.failed + ledger.requests.hung);
  const worst = recoveries.length === 0 ? undefined : Math.max(...recoveries);
  const share = sent === 0 ? 0 : lost / sent;
  return html`<section class="figures">
    ${figure("recovery time, worst", formatMs(worst), "")}
    ${figure(
      `of ${formatCount(sent)} requests lost (${formatPercent(share)})`,
      formatCount(lost),
      "",
    )}
    ${figure("flows or requests left hanging", formatCount(hung), hung === 0 ? "good" : "bad")}
    ${
      others.length === 0
        ? figure("services outside the scope", "none watched", "")
        : figure(
            "failures outside the scope",
            formatCount(collateral),
            collateral === 0 ? "good" : "bad",
          )
    }
    ${figure(
      "restored as it was",
      runs.every(({ restoration }) => restoration.proved) ? "proved" : "not proved",
      runs.every(({ restoration }) => restoration.proved) ? "good" : "bad",
    )}
  </section>`;
}

function figure(label: string, value: string, tone: "good" | "bad" | ""): Markup {
  return html`<div class="figure ${tone}"><b>${value}</b><span class="soft">${label}</span></div>`;
}

function runSections(report: DrillReport, run: DrillRun): Markup {
  const scope = run.services.filter(({ inScope }) => inScope);
  const others = run.services.filter(({ inScope }) => !inScope);
  const { clusters } = report;
  const which = report.runs.length > 1 ? ` (run ${run.number} of ${report.runs.length})` : "";
  return html`<h2>What requests saw${which}</h2>
    ${scope.map((service) => serviceCard(service, { run, clusters }))}
    ${
      others.length === 0
        ? NOTHING
        : html`<h2>Outside the scope</h2>
            ${others.map((service) => serviceCard(service, { run, clusters }))}`
    }
    <h2>Flows</h2>
    ${flowTable(run.services)}
    <h2>What the nodes did</h2>
    ${timelineTable(run.timeline)}
    <h2>Restoration</h2>
    ${restoration(run)}`;
}

function serviceCard(
  service: ServiceResult,
  context: { readonly run: DrillRun; readonly clusters: readonly string[] },
): Markup {
  const { ledger, verdict, reasons } = service;
  const { sent, answered, failed, hung, duplicated } = ledger.requests;
  return html`<section class="card">
    <header>
      <h3>${service.service}</h3>
      <span class="verdict tag ${verdict}">${words(verdict)}</span>
      <span class="soft">
        ${formatCount(sent)} requests: ${formatCount(answered)} answered, ${formatCount(failed)}
        failed, ${formatCount(hung)} hung, ${formatCount(duplicated)} answered twice
      </span>
    </header>
    ${serviceChart(service, context)} ${recoveryParts(service)}
    ${
      reasons.length === 0
        ? NOTHING
        : html`<ul class="reasons">
            ${reasons.map((reason) => html`<li>${reason}</li>`)}
          </ul>`
    }
    ${objectiveTable(service)}
  </section>`;
}

/** The recovery time as a bar, each part as wide as it was long. */
function recoveryParts({ times }: ServiceResult): Markup {
  const total = times.convergedMs;
  if (total === undefined || total <= 0) return NOTHING;
  const parts: { readonly text: string; readonly ms: number }[] = [];
  let from = 0;
  for (const { end, text } of PARTS) {
    const at = times[end];
    if (at === undefined || at < from || at > total) continue;
    parts.push({ text, ms: at - from });
    from = at;
  }
  return html`<div class="parts" aria-hidden="true">
      ${parts.map(({ ms }, i) => {
        const width = ((ms / total) * 100).toFixed(2);
        return html`<div style="width:${width}%;background:${PART_COLOURS[i] ?? ""}"></div>`;
      })}
    </div>
    <div class="legend">
      <span><b>Recovery ${formatMs(total)}</b></span>
      ${parts.map(
        ({ text, ms }, i) =>
          html`<span
            ><i style="background:${PART_COLOURS[i] ?? ""}"></i>${formatMs(ms)} ${text}</span
          >`,
      )}
    </div>`;
}

function restoration({ restoration: { proved, differences } }: DrillRun): Markup {
  if (proved) {
    return html`<p>The datapath of every node holds what it held before: digests are equal.</p>`;
  }
  return html`<p>Not proved.</p>
    <ul class="reasons">
      ${differences.map((difference) => html`<li>${difference}</li>`)}
    </ul>`;
}

function evidence(report: DrillReport): Markup {
  return html`<h2>Evidence</h2>
    <pre>${report.command}</pre>
    <div class="scroll">
      <table>
        <tr>
          <th>report</th>
          <td><code>${report.id}</code></td>
        </tr>
        <tr>
          <th>definition</th>
          <td><code>${report.definitionDigest}</code></td>
        </tr>
        <tr>
          <th>seed</th>
          <td>${report.seed}</td>
        </tr>
        ${Object.entries(report.software).map(
          ([name, version]) =>
            html`<tr>
              <th>${name}</th>
              <td>${version}</td>
            </tr>`,
        )}
      </table>
    </div>`;
}

/** "CAPACITY_CHECK_FAILED" as words. */
function words(verdict: string): string {
  return verdict.replaceAll("_", " ");
}

function sum(services: readonly ServiceResult[], of: (service: ServiceResult) => number): number {
  return services.reduce((total, service) => total + of(service), 0);
}
