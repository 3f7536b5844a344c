// What `npm start` shows: a lab of two clusters, connected, with a global service in both; then
// one cluster loses all of its backends under steady requests; then a drill cuts a cluster off.
// Every figure is measured; nothing here knows how it should come out.
import type { CommandResult } from "../../mesh/core/child-process.ts";
import { throwIfAborted, type Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type { DrillReport } from "../../mesh/drill/report.ts";
import { findLabPlace } from "../lab/enter.ts";
import { bringLabUp } from "../lab/lab.ts";
import { findCluster } from "../lab/plan.ts";
import { createPod, deletePod, type PodHost, type PodSpec } from "../lab/pods.ts";
import { clusterOfAnswer, formatCounts, summariseRequests } from "../lab/requests.ts";
import type { RequestRecord } from "../lab/requests.ts";
import { serviceTargets, writeService, type LabService } from "../lab/services.ts";
import { startSteadyClient, type SteadyClient } from "../lab/steady-client.ts";
import { rehearse } from "./rehearse.ts";
import type { Timeline } from "./timeline.ts";

const CLUSTERS = ["east", "west"] as const;
/** The client's own cluster: what it loses is what was near. */
const LOSING = "east";
/** The one that is far from the client: all of its packets are lost. */
const CUT_OFF = "west";
const BACKEND_PORT = 8080;
const CART: LabService = {
  namespace: "shop",
  name: "cart",
  number: 10,
  annotations: { "service.cilium.io/global": "true" },
  selector: { app: "cart" },
  port: 80,
  targetPort: BACKEND_PORT,
};
/** 50 new connections a second: steady enough to see a gap of 20 ms, nothing for a small machine. */
const INTERVAL_MS = 20;
const REQUEST_LIMIT_MS = 1_000;
/** What is watched before and after; long enough for the shares to settle. */
const OBSERVE_MS = 3_000;
/** Kubernetes lets pods that are taken away serve on while the news travels (preStop). */
const GRACE_MS = 2_000;
const PROGRAMMED_LIMIT_MS = 30_000;

export interface TourOptions {
  readonly home: string;
  readonly labName: string;
  /** Runs `mesh WORDS` with the same home; hears what it tells meanwhile. */
  readonly mesh: (
    words: readonly string[],
    onStderr?: (text: string) => void,
  ) => Promise<CommandResult>;
  readonly timeline: Timeline;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface TourResult {
  /** Requests went on without a failure, and the drill kept its promises. */
  readonly whole: boolean;
  readonly drill: DrillReport;
  /** The drill's report as a page. */
  readonly page: string;
}

export async function runTour(options: TourOptions): Promise<TourResult> {
  const { timeline } = options;
  timeline.chapter("Two clusters on this machine");
  const host = await bringUp(options);
  await connect(options);

  timeline.chapter("A service that is global");
  await deployCart(host, options);
  const client = startSteadyClient({
    place: await findLabPlace(host, "east/shop/client"),
    targets: serviceTargets(findCluster(host.plan, "east"), CART),
    intervalMs: INTERVAL_MS,
    timeoutMs: REQUEST_LIMIT_MS,
    clock: options.clock,
  });
  const wentOn = await showRequests({ host, client }, options);

  timeline.chapter(`A drill: ${CUT_OFF} is cut off`);
  const service = `${CART.namespace}/${CART.name}`;
  const { report, page } = await rehearse({ cluster: CUT_OFF, service }, options);
  return { whole: wentOn && report.verdict === "PASS", drill: report, page };
}

/** Resolves with whether none of them failed. */
async function showRequests(
  { host, client }: { host: PodHost; client: SteadyClient },
  options: TourOptions,
): Promise<boolean> {
  try {
    await showBoth(client, options);
    options.timeline.chapter(`${LOSING} loses all of its backends`);
    return await showLoss({ host, client }, options);
  } finally {
    await client.stop();
  }
}

async function bringUp({ home, labName, timeline, clock, signal }: TourOptions): Promise<PodHost> {
  const size = { name: labName, clusters: CLUSTERS, nodesPerCluster: 2 };
  return bringLabUp(size, {
    home,
    clock,
    signal,
    progress: ({ text, ms }) => timeline.event(`${text} (${ms} ms)`),
  });
}

/** Runs the command that a person would run. */
async function connect({ mesh, timeline, clock, signal }: TourOptions): Promise<void> {
  const startMs = clock.monotonicMs();
  const { status, stdout, stderr } = await mesh(["connect", ...CLUSTERS]);
  throwIfAborted(signal);
  if (status !== 0) {
    const said = (stderr || stdout).trim();
    throw new MeshError("unavailable", `Cannot connect ${CLUSTERS.join(" and ")}: ${said}`);
  }
  const ms = Math.round(clock.monotonicMs() - startMs);
  timeline.event(`mesh connect ${CLUSTERS.join(" ")}: connected and verified (${ms} ms)`);
}

async function deployCart(host: PodHost, { timeline, signal }: TourOptions): Promise<void> {
  await Promise.all(host.plan.members.map((cluster) => writeService(cluster, CART)));
  const client: PodSpec = {
    cluster: "east",
    node: "node1",
    namespace: CART.namespace,
    name: "client",
    labels: { app: "client" },
    serviceAccount: "default",
    workload: { kind: "command", argv: ["sleep", "infinity"] },
    ports: [],
  };
  const pods = [...CLUSTERS.flatMap(cartPods), client];
  await Promise.all(pods.map((pod) => createPod(host, pod, signal)));
  timeline.event("shop/cart: 2 backends in east, 2 in west, and a client in east");
}

async function showBoth(
  client: SteadyClient,
  { timeline, clock, signal }: TourOptions,
): Promise<void> {
  const startMs = clock.nowMs();
  const what = "Cannot reach shop/cart in both clusters";
  const heard = (records: readonly RequestRecord[]): boolean =>
    new Set(records.filter(({ answer }) => answer !== undefined).map(clusterOfAnswer)).size ===
    CLUSTERS.length;
  await client.waitUntil(heard, { limitMs: PROGRAMMED_LIMIT_MS, what, signal });
  const firsts = CLUSTERS.flatMap(
    (cluster) => client.records.find((record) => clusterOfAnswer(record) === cluster) ?? [],
  );
  for (const { answer, sentAtMs, ms } of firsts.sort((a, b) => a.n - b.n)) {
    const afterMs = Math.round(sentAtMs + ms - startMs);
    timeline.event(`first answer from ${answer}: ${afterMs} ms after the client was started`);
  }
  await everyTargetAnswers(client, signal);
  const from = client.records.length;
  await clock.sleep(OBSERVE_MS, signal);
  tellSummary(client.records.slice(from), timeline);
}

/** Both families and both protocols: each has to be programmed before anything is measured. */
async function everyTargetAnswers(client: SteadyClient, signal: AbortSignal): Promise<void> {
  const from = client.records.length;
  const streak = 20;
  await client.waitUntil(
    (records) => {
      const latest = records.slice(from).slice(-streak);
      return latest.length === streak && latest.every(({ answer }) => answer !== undefined);
    },
    { limitMs: PROGRAMMED_LIMIT_MS, what: "Cannot reach shop/cart over every path", signal },
  );
}

async function showLoss(
  { host, client }: { host: PodHost; client: SteadyClient },
  { timeline, clock, signal }: TourOptions,
): Promise<boolean> {
  const from = client.records.length;
  const leaveMs = clock.nowMs();
  timeline.event(
    `both backends in ${LOSING} are taken away (not ready now, ended ${GRACE_MS} ms later)`,
  );
  const leaving = cartPods(LOSING);
  await Promise.all(leaving.map((pod) => deletePod(host, pod, { graceMs: GRACE_MS, signal })));
  timeline.event(`the last process of shop/cart in ${LOSING} is gone`);
  await clock.sleep(OBSERVE_MS, signal);
  const during = client.records.slice(from);
  const late = during.filter((record) => clusterOfAnswer(record) === LOSING);
  const movedMs = Math.max(0, ...late.map(({ sentAtMs }) => Math.round(sentAtMs - leaveMs)));
  timeline.event(
    `last new connection to ${LOSING}: ${movedMs} ms after its backends were not ready`,
  );
  const { failures, requests } = tellSummary(during, timeline);
  timeline.result(
    failures === 0
      ? `requests went on: ${requests} sent, none failed`
      : `${failures} of ${requests} requests failed`,
    failures === 0 ? "good" : "bad",
  );

  const backMs = clock.nowMs();
  const again = client.records.length;
  await Promise.all(leaving.map((pod) => createPod(host, pod, signal)));
  await client.waitUntil(
    (records) => records.slice(again).some((record) => clusterOfAnswer(record) === LOSING),
    { limitMs: PROGRAMMED_LIMIT_MS, what: `Cannot bring ${LOSING} back`, signal },
  );
  timeline.event(
    `${LOSING} answers again, ${Math.round(clock.nowMs() - backMs)} ms after its pods were ordered back`,
  );
  return failures === 0;
}

function tellSummary(
  records: readonly RequestRecord[],
  timeline: Timeline,
): { requests: number; failures: number } {
  const summary = summariseRequests(records);
  const { requests, failures, byBackend, byError, p50Ms, p99Ms } = summary;
  timeline.event(`${requests} requests: ${formatCounts(byBackend)}; failed ${failures}`);
  timeline.event(
    `latency p50 ${p50Ms ?? "-"} ms, p99 ${p99Ms ?? "-"} ms (TCP and UDP, IPv4 and IPv6)`,
  );
  if (failures > 0) timeline.event(`errors: ${formatCounts(byError)}`);
  return { requests, failures };
}

/** One on each node. */
function cartPods(cluster: string): PodSpec[] {
  return [1, 2].map((number) => ({
    cluster,
    node: `node${number}`,
    namespace: CART.namespace,
    name: `cart-${number}`,
    labels: { ...CART.selector },
    serviceAccount: "default",
    workload: { kind: "echo", port: BACKEND_PORT },
    ports: [
      { name: "main", containerPort: BACKEND_PORT, protocol: "TCP" },
      { name: "main-udp", containerPort: BACKEND_PORT, protocol: "UDP" },
    ],
  }));
}
