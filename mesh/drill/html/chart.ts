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
/** A recovery that takes less of the whole picture than this gets one of its own. */
const CLOSE_UP_SHARE = 0.2;
const CLOSE_UP_MS = 1_500;
const CLOSE_UP_BEFORE_MS = 500;
/** What a mark's number covers on a narrow page, and how far the next lane is below. */
const MARK_WIDTH_PERCENT = 6;
const LANE_POINTS = 20;

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

/** The whole run, and a close-up of the recovery where it would be too small to be seen. */
export function serviceChart(
  service: ServiceResult,
  { run, clusters }: { readonly run: DrillRun; readonly clusters: readonly string[] },
): Markup {
  const { buckets, times } = service;
  const [first] = buckets;
  const last = buckets.at(-1);
  if (first === undefined || last === undefined) return NOTHING;
  const stepMs = (buckets[1]?.atMs ?? first.atMs + 100) - first.atMs;
  const picture = {
    service,
    clusters: clusters.filter((name) => buckets.some(({ answered }) => answered[name])),
    colour: (name: string) => colourOf(name, clusters),
    stepMs,
    liftedMs: run.liftedAtMs - run.injectedAtMs,
  };
  const whole = { fromMs: first.atMs, spanMs: last.atMs + stepMs - first.atMs };
  const recovery = recoveryMoments(service);
  const { convergedMs } = times;
  const closeUp = convergedMs !== undefined && convergedMs < whole.spanMs * CLOSE_UP_SHARE;
  const spanMs = Math.max(CLOSE_UP_MS, 2 * (convergedMs ?? 0));
  const close = {
    fromMs: Math.max(whole.fromMs, -CLOSE_UP_BEFORE_MS),
    spanMs: spanMs + CLOSE_UP_BEFORE_MS,
  };
  return html`${chart(picture, {
    window: whole,
    moments: [...(closeUp ? recovery.slice(0, 1) : recovery), ...returnMoments(picture)],
  })}
  ${
    closeUp
      ? html`<p class="soft caption">The moment of the fault, closer</p>
          ${chart(picture, { window: close, moments: recovery })}`
      : NOTHING
  }
  ${legend(picture)}`;
}

interface Picture {
  readonly service: ServiceResult;
  /** Those that answered. */
  readonly clusters: readonly string[];
  readonly colour: (cluster: string) => string;
  readonly stepMs: number;
  readonly liftedMs: number;
}

function chart(
  { service, clusters, colour, stepMs, liftedMs }: Picture,
  view: {
    readonly window: { readonly fromMs: number; readonly spanMs: number };
    readonly moments: readonly Moment[];
  },
): Markup {
  const { fromMs, spanMs } = view.window;
  const buckets = service.buckets.filter(
    ({ atMs }) => atMs >= fromMs && atMs + stepMs <= fromMs + spanMs,
  );
  const scale = { fromMs, spanMs, stepMs, top: HEADROOM * Math.max(1, ...buckets.map(totalOf)) };
  const moments = inLanes(view.moments, view.window);
  return html`<div class="chart" role="img" aria-label="${describe(service)}">
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
        ${faultArea(scale, liftedMs)}
        ${clusters.map((name, i) =>
          area(buckets, scale, {
            colour: colour(name),
            below: (bucket) => sumOf(bucket, clusters.slice(0, i)),
            height: (bucket) => bucket.answered[name] ?? 0,
          }),
        )}
        ${area(buckets, scale, {
          colour: FAILED,
          below: (bucket) => sumOf(bucket, clusters),
          height: (bucket) => bucket.failed + bucket.hung,
        })}
      </svg>
      ${moments.map(
        ({ left, lane }, i) =>
          html`<div class="mark" style="left:${left.toFixed(2)}%">
            <span style="top:${2 + lane * LANE_POINTS}px">${i + 1}</span>
          </div>`,
      )}
    </div>
    <div class="axis">
      <span>${formatMs(fromMs)}</span>
      <span class="middle">after the fault; requests per ${formatMs(stepMs)}</span>
      <span>${formatMs(fromMs + spanMs)}</span>
    </div>
    <ol class="steps">
      ${moments.map(({ atMs, text }, i) => html`<li><b>${i + 1}</b> ${text}: ${formatMs(atMs)}</li>`)}
    </ol>`;
}

function legend({ clusters, colour }: Picture): Markup {
  return html`<div class="legend">
    ${clusters.map(
      (name) => html`<span><i style="background:${colour(name)}"></i>answered by ${name}</span>`,
    )}
    <span><i style="background:${FAILED}"></i>failed or hung</span>
    <span><i style="background:var(--fault)"></i>fault in force</span>
  </div>`;
}

function recoveryMoments({ times }: ServiceResult): Moment[] {
  return inOrder([
    [0, "fault injected"],
    [times.firstErrorMs, "first request that failed"],
    [times.detectedMs, "detected"],
    [times.appliedMs, "applied on every node"],
    [times.convergedMs, "nothing fails any more"],
  ]);
}

function returnMoments({ service: { times }, liftedMs }: Picture): Moment[] {
  const backMs = times.failbackMs === undefined ? undefined : liftedMs + times.failbackMs;
  return inOrder([
    [liftedMs, "fault lifted"],
    [backMs, "traffic is back"],
  ]);
}

function inOrder(all: readonly (readonly [number | undefined, string])[]): Moment[] {
  return all
    .flatMap(([atMs, text]) => (atMs === undefined ? [] : [{ atMs, text }]))
    .sort((a, b) => a.atMs - b.atMs);
}

/** Numbers that would cover each other stand below each other. */
function inLanes(
  moments: readonly Moment[],
  { fromMs, spanMs }: { readonly fromMs: number; readonly spanMs: number },
): (Moment & { readonly left: number; readonly lane: number })[] {
  const placed: (Moment & { left: number; lane: number })[] = [];
  for (const moment of moments) {
    const left = ((moment.atMs - fromMs) / spanMs) * 100;
    if (left < 0 || left > 100) continue;
    const near = placed.filter((other) => left - other.left < MARK_WIDTH_PERCENT);
    const lanes = new Set(near.map(({ lane }) => lane));
    let lane = 0;
    while (lanes.has(lane)) lane++;
    placed.push({ ...moment, left, lane });
  }
  return placed;
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
