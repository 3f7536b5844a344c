// Three clusters under steady requests, and what a cut costs them: the lab of the failover tests
// and of the failover benchmark. Services are many, backends few: every service of a kind selects
// the same pods, since what is measured must not depend on the number of services.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { awaitReady, labDaemons, startDaemons, type Daemon } from "../../deploy/lab/daemons.ts";
import { findCluster, labNodes } from "../../deploy/lab/plan.ts";
import { readAliveProcess } from "../../deploy/lab/processes.ts";
import { createPod, type PodHost, type PodSpec } from "../../deploy/lab/pods.ts";
import { namespaceManifest, writeManifest } from "../../deploy/lab/manifests.ts";
import { clusterOfAnswer, type RequestRecord } from "../../deploy/lab/requests.ts";
import { serviceManifest, serviceTargets, type LabService } from "../../deploy/lab/services.ts";
import type { SteadyClient } from "../../deploy/lab/steady-client.ts";
import { cutUnderlay, healUnderlay } from "../../deploy/lab/underlay.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { createAgentClient } from "../../mesh/api/agent-client.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import {
  FAULT_TTL_MAX_MS,
  type PacketFault,
  type Question,
} from "../../mesh/operations/questions.ts";
import { PUBLIC_FILE_MODE, writeFileAtomic } from "../../pki/atomic-file.ts";
import { eventually } from "../fakes/eventually.ts";
import { cartPod, killDaemons, mustSucceed, never, startClient, type TestLab } from "./test-lab.ts";

export const CLUSTERS = ["east", "west", "north"] as const;
/** The one that is lost. */
export const LOST = "west";
/** In all clusters. */
const SPREAD = "spread";
/** In every cluster but the lost one: what happens to it is collateral. */
const APART = "apart";
/** Services a manifest file: some 400 KB. */
const SERVICES_A_FILE = 500;
/** Of each kind; a client asks them in turn. */
const ASKED_SERVICES = 8;
/** 250 requests a second from each of two clusters. */
const INTERVAL_MS = 4;
const APART_INTERVAL_MS = 40;
const LIMIT_MS = 180_000;
/** A request without an answer after this long has hung. */
const REQUEST_LIMIT_MS = 2_000;
/** How long is counted after a fault; the slowest request of its first second has ended by then. */
const COUNTED_MS = 4_000;
/** A third each, give or take: while half of a cluster's share is held back it has a fifth. */
const WHOLE_SHARE = 0.25;
const SHORTEST_HOLD_DOWN_MS = 2_000;
/** What the client says of a request that had neither an answer nor an error. */
const HUNG = "no answer in time";

/** The backends, of both kinds; a client in each cluster that stays. */
export async function deployFailoverPods(host: PodHost): Promise<void> {
  const pods = host.plan.members.flatMap(({ name, nodes }) =>
    nodes.flatMap(({ member }, i) => [
      backendPod({ cluster: name, node: member, name: `${SPREAD}-${i + 1}` }, SPREAD),
      ...(name === LOST
        ? []
        : [backendPod({ cluster: name, node: member, name: `${APART}-${i + 1}` }, APART)]),
    ]),
  );
  const clients = CLUSTERS.filter((cluster) => cluster !== LOST).map((cluster) => ({
    ...cartPod({ cluster, node: "node1", name: "client" }),
    labels: { app: "client" },
    workload: { kind: "command", argv: ["sleep", "infinity"] } as const,
    ports: [],
  }));
  await Promise.all([...pods, ...clients].map((pod) => createPod(host, pod, never)));
}

/** So many global services in every cluster, one in ten of them apart from the lost cluster. */
export async function declareServices(host: PodHost, count: number): Promise<void> {
  await Promise.all(
    host.plan.members.map(async (cluster) => {
      const { manifests } = clusterPaths(cluster.directory);
      await writeManifest(manifests, namespaceManifest("shop"));
      const numbers = Array.from({ length: count }, (_, i) => i + 1);
      for (let from = 0; from < count; from += SERVICES_A_FILE) {
        const services = numbers
          .slice(from, from + SERVICES_A_FILE)
          .map((number) => serviceManifest(cluster, service(number)));
        const text = services.map((manifest) => stringify(manifest)).join("---\n");
        const file = join(manifests, `services.${from / SERVICES_A_FILE}.yaml`);
        await writeFileAtomic(file, text, { mode: PUBLIC_FILE_MODE });
      }
    }),
  );
}

export interface Load {
  /** Of services that the lost cluster serves too, one client in each cluster that stays. */
  readonly spread: readonly SteadyClient[];
  readonly apart: readonly SteadyClient[];
  stop(): Promise<void>;
}

/** Resolves once every asked service is answered by every cluster that has it. */
export async function startLoad(host: PodHost, count: number): Promise<Load> {
  const staying = CLUSTERS.filter((cluster) => cluster !== LOST);
  const start = (kind: "spread" | "apart", intervalMs: number): Promise<SteadyClient[]> =>
    Promise.all(
      staying.map((name) =>
        startClient(host, {
          targets: askedServices(kind, count).flatMap((one) =>
            serviceTargets(findCluster(host.plan, name), one),
          ),
          pod: `${name}/shop/client`,
          intervalMs,
          timeoutMs: REQUEST_LIMIT_MS,
        }),
      ),
    );
  const spread = await start("spread", INTERVAL_MS);
  const apart = await start("apart", APART_INTERVAL_MS);
  const load = {
    spread,
    apart,
    stop: async () => {
      await Promise.all([...spread, ...apart].map((client) => client.stop()));
    },
  };
  await untilQuiet(load);
  return load;
}

/** Two seconds in which nothing fails and every cluster has its whole share. */
export async function untilQuiet(load: Load): Promise<void> {
  const streak = 500;
  await Promise.all(
    load.spread.map((client) =>
      client.waitUntil(
        (records) => {
          const last = records.slice(-streak);
          return (
            last.length === streak &&
            last.every(({ error }) => error === undefined) &&
            CLUSTERS.every((name) => shareOf(name, last) > WHOLE_SHARE)
          );
        },
        { limitMs: LIMIT_MS, what: "Every cluster answers, nothing fails", signal: never },
      ),
    ),
  );
}

export interface CutResult {
  /** When the last request was begun that failed, after the fault. */
  readonly lastFailedMs: number;
  readonly failed: number;
  readonly hung: number;
  readonly sent: number;
  /** Failures of services that the lost cluster does not serve. */
  readonly collateral: number;
  readonly errors: ReadonlyMap<string, number>;
}

/** Injects, waits until nothing fails any more, lifts, and waits until all is as before. */
export async function measureFault(
  load: Load,
  fault: { readonly inject: () => Promise<void>; readonly lift: () => Promise<void> },
): Promise<CutResult> {
  const spreadFrom = load.spread.map(({ records }) => records.length);
  const apartFrom = load.apart.map(({ records }) => records.length);
  const atMs = systemClock.nowMs();
  await fault.inject();
  const since = (clients: readonly SteadyClient[], from: readonly number[]): RequestRecord[] =>
    clients.flatMap(({ records }, i) =>
      records.slice(from[i]).filter(({ sentAtMs }) => sentAtMs >= atMs),
    );
  await Promise.all(
    load.spread.map((client) =>
      client.waitUntil((records) => (records.at(-1)?.sentAtMs ?? 0) > atMs + COUNTED_MS, {
        limitMs: LIMIT_MS,
        what: "Requests go on",
        signal: never,
      }),
    ),
  );
  const spread = since(load.spread, spreadFrom);
  const failures = spread.filter(({ error }) => error !== undefined);
  const collateral = since(load.apart, apartFrom).filter(({ error }) => error !== undefined);
  await fault.lift();
  await untilQuiet(load);
  return {
    lastFailedMs: Math.max(0, ...failures.map(({ sentAtMs }) => Math.round(sentAtMs - atMs))),
    failed: failures.length,
    hung: failures.filter(({ error }) => error === HUNG).length,
    sent: spread.length,
    collateral: collateral.length,
    errors: countErrors(failures),
  };
}

function shareOf(cluster: string, records: readonly RequestRecord[]): number {
  return records.filter((record) => clusterOfAnswer(record) === cluster).length / records.length;
}

/** The underlay drops everything from and to the lost cluster. */
export function blackHole(host: PodHost): {
  inject: () => Promise<void>;
  lift: () => Promise<void>;
} {
  return {
    inject: () => cutUnderlay(host.plan, { where: LOST, direction: "both" }, never),
    lift: () => healUnderlay(host.plan, never),
  };
}

/** Nodes of the lost cluster answer packets of others with resets, as the drill's fault does. */
export function refuse(host: PodHost): {
  inject: () => Promise<void>;
  lift: () => Promise<void>;
} {
  const clients = findCluster(host.plan, LOST).nodes.map(({ socket }) =>
    createAgentClient({ socket, clock: systemClock }),
  );
  const faults = CLUSTERS.filter((cluster) => cluster !== LOST).map((peer): PacketFault => ({
    peer,
    direction: "both",
    flowPercent: 100,
    dropPercent: 100,
    refuse: true,
    slow: false,
  }));
  const ask = (question: Question): Promise<unknown> =>
    Promise.all(clients.map((client) => client.ask(JSON.stringify(question), never)));
  const drill = "e2e-refuse";
  return {
    inject: async () => void (await ask({ ask: "inject", drill, faults, ttlMs: FAULT_TTL_MAX_MS })),
    lift: async () => {
      await ask({ ask: "lift", drill });
      for (const client of clients) client.close();
    },
  };
}

export async function bringUpFailoverLab(
  lab: TestLab,
  options: { readonly services: number; readonly nodes?: number },
): Promise<PodHost> {
  const size = ["--clusters", CLUSTERS.join(","), "--nodes", String(options.nodes ?? 2)];
  mustSucceed(await lab.up(size));
  const host = await lab.open();
  await shortenHoldDowns(host);
  mustSucceed(await lab.mesh(["connect", "--all", ...CLUSTERS]));
  await deployFailoverPods(host);
  await declareServices(host, options.services);
  return host;
}

/** The same cut again and again is flapping to an agent, and would be answered with patience. */
export async function shortenHoldDowns(host: PodHost): Promise<void> {
  await Promise.all(
    labNodes(host.plan).map(async ({ directory }) => {
      const path = join(directory, "agent.json");
      const config = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
      const health = { holdDownMaxMs: SHORTEST_HOLD_DOWN_MS };
      await writeFile(path, JSON.stringify({ ...config, health }));
    }),
  );
  await killDaemons(host, ({ kind }) => kind === "agent");
  const agents = labDaemons(host.plan, host.cgroupRoot).filter(({ kind }) => kind === "agent");
  await eventually(async () => !(await Promise.all(agents.map(isAlive))).includes(true));
  const environment = { clock: systemClock, signal: never };
  await startDaemons(agents, environment);
  await Promise.all(agents.map((agent) => awaitReady(agent, environment)));
}

async function isAlive({ recordFile }: Daemon): Promise<boolean> {
  return (await readAliveProcess(recordFile)) !== undefined;
}

function backendPod(place: Pick<PodSpec, "cluster" | "node" | "name">, app: string): PodSpec {
  return { ...cartPod(place), labels: { app } };
}

/** One in ten is apart. */
function service(number: number): LabService {
  const app = number % 10 === 0 ? APART : SPREAD;
  return {
    namespace: "shop",
    name: `${app}-${number}`,
    number,
    annotations: { "service.cilium.io/global": "true" },
    selector: { app },
    port: 80,
    targetPort: 8080,
  };
}

/** Some of the first and some of the last. */
function askedServices(kind: "spread" | "apart", count: number): LabService[] {
  const all = Array.from({ length: count }, (_, i) => service(i + 1)).filter(
    ({ selector }) => selector["app"] === (kind === "spread" ? SPREAD : APART),
  );
  const half = ASKED_SERVICES / 2;
  return all.length <= ASKED_SERVICES ? all : [...all.slice(0, half), ...all.slice(-half)];
}

function countErrors(records: readonly RequestRecord[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { error = "" } of records) counts.set(error, (counts.get(error) ?? 0) + 1);
  return counts;
}
