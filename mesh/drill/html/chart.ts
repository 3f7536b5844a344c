// The picture of one service in one run: requests per tenth of a second over time, stacked by the
// cluster that answered, failures on top, the time of the fault shaded. Shapes are stretched to
// the page's width; text stands outside of them, so it never shrinks.
import type { DrillRun, ServiceResult } from "../report.ts";
import { formatMs } from "./format.ts";
import { html, NOTHING, type Markup } from "./markup.ts";
import { CLUSTER_COLOURS } from "./style.ts";

const WIDTH = 1000;
const HEIGHT = 100;
/** Room above the highest column, for the marks' numbers. */
const HEADROOM = 1.3;
const FAILED = "var(--bad)";

type Bucket = ServiceResult["buckets"][number];

/** A moment that is marked with a number in the picture and named below it. */
interface Moment {
  readonly atMs: number;
  readonly text: string;
}

export function colourOf(cluster: string, clusters: readonly string[]): string {
  const index = Math.max(0, clusters.indexOf(cluster));
  return CLUSTER_COLOURS[index % CLUSTER_COLOURS.length] ?? FAILED;
}

export function serviceChart(
  service: ServiceResult,
  { run, clusters }: { readonly run: DrillRun; readonly clusters: readonly string[] },
): Markup {
  const { buckets } = service;
  const [first] = buckets;
  const last = buckets.at(-1);
  if (first === undefined || last === undefined) return NOTHING;
  const stepMs = (buckets[1]?.atMs ?? first.atMs + 100) - first.atMs;
  const scale = {
    fromMs: first.atMs,
    spanMs: last.atMs + stepMs - first.atMs,
    stepMs,
    top: HEADROOM * Math.max(1, ...buckets.map(totalOf)),
  };
  const liftedMs = run.liftedAtMs - run.injectedAtMs;
  const moments = momentsOf(service, liftedMs).filter(
    ({ atMs }) => atMs >= scale.fromMs && atMs <= scale.fromMs + scale.spanMs,
  );
  const answering = clusters.filter((name) => buckets.some(({ answered }) => answered[name]));
  return html`<div class="chart" role="img" aria-label="${describe(service)}">
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
        ${faultArea(scale, liftedMs)}
        ${answering.map((name, i) =>
          area(buckets, scale, {
            colour: colourOf(name, clusters),
            below: (bucket) => sumOf(bucket, answering.slice(0, i)),
            height: (bucket) => bucket.answered[name] ?? 0,
          }),
        )}
        ${area(buckets, scale, {
          colour: FAILED,
          below: (bucket) => sumOf(bucket, answering),
          height: (bucket) => bucket.failed + bucket.hung,
        })}
      </svg>
      ${moments.map(({ atMs }, i) => {
        const left = (((atMs - scale.fromMs) / scale.spanMs) * 100).toFixed(2);
        return html`<div class="mark" style="left:${left}%"><span>${i + 1}</span></div>`;
      })}
    </div>
    <div class="axis">
      <span>${formatMs(scale.fromMs)}</span>
      <span>time after the fault, requests per ${formatMs(stepMs)}</span>
      <span>${formatMs(scale.fromMs + scale.spanMs)}</span>
    </div>
    <div class="legend">
      ${answering.map(
        (name) =>
          html`<span
            ><i style="background:${colourOf(name, clusters)}"></i>answered by ${name}</span
          >`,
      )}
      <span><i style="background:${FAILED}"></i>failed or hung</span>
      <span><i style="background:var(--fault)"></i>fault in force</span>
    </div>
    <ol class="steps">
      ${moments.map(({ atMs, text }, i) => html`<li><b>${i + 1}</b> ${text}: ${formatMs(atMs)}</li>`)}
    </ol>`;
}

function momentsOf({ times }: ServiceResult, liftedMs: number): Moment[] {
  const failback = times.failbackMs === undefined ? undefined : liftedMs + times.failbackMs;
  const all: readonly [number | undefined, string][] = [
    [0, "fault injected"],
    [times.firstErrorMs, "first request that failed"],
    [times.detectedMs, "detected"],
    [times.appliedMs, "applied on every node"],
    [times.convergedMs, "nothing fails any more"],
    [liftedMs, "fault lifted"],
    [failback, "traffic is back"],
  ];
  return all
    .flatMap(([atMs, text]) => (atMs === undefined ? [] : [{ atMs, text }]))
    .sort((a, b) => a.atMs - b.atMs);
}

interface Scale {
  readonly fromMs: number;
  readonly spanMs: number;
  readonly stepMs: number;
  /** Requests a bucket at the upper edge. */
  readonly top: number;
}

function faultArea({ fromMs, spanMs }: Scale, liftedMs: number): Markup {
  const x = (Math.max(0, -fromMs) / spanMs) * WIDTH;
  const width = Math.max(0, Math.min(WIDTH - x, (liftedMs / spanMs) * WIDTH));
  return html`<rect
    x="${x.toFixed(1)}"
    y="0"
    width="${width.toFixed(1)}"
    height="${HEIGHT}"
    style="fill:var(--fault)"
  />`;
}

/** Columns of one colour as one path; buckets without any leave a gap. */
function area(
  buckets: readonly Bucket[],
  scale: Scale,
  layer: {
    readonly colour: string;
    readonly below: (bucket: Bucket) => number;
    readonly height: (bucket: Bucket) => number;
  },
): Markup {
  const width = (scale.stepMs / scale.spanMs) * WIDTH;
  const y = (value: number): string => (HEIGHT - (value / scale.top) * HEIGHT).toFixed(1);
  const path = buckets.flatMap((bucket) => {
    const height = layer.height(bucket);
    if (height === 0) return [];
    const x = ((bucket.atMs - scale.fromMs) / scale.spanMs) * WIDTH;
    const below = layer.below(bucket);
    const right = (x + width).toFixed(1);
    return `M${x.toFixed(1)} ${y(below)}V${y(below + height)}H${right}V${y(below)}Z`;
  });
  if (path.length === 0) return NOTHING;
  return html`<path d="${path.join("")}" style="fill:${layer.colour}" />`;
}

function sumOf({ answered }: Bucket, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (answered[name] ?? 0), 0);
}

function totalOf(bucket: Bucket): number {
  return sumOf(bucket, Object.keys(bucket.answered)) + bucket.failed + bucket.hung;
}

function describe({ service, ledger, times }: ServiceResult): string {
  const { sent, failed, hung } = ledger.requests;
  const rto = times.convergedMs === undefined ? "" : `, recovered after ${times.convergedMs} ms`;
  return `${service}: ${sent} requests, ${failed} failed, ${hung} hung${rto}`;
}
