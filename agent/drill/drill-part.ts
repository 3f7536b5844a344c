// The agent's part in drills, put together: what answers questions, over the operations plane where
// there is one and over the agent's own socket, and what has to run beside it.
import type { Clock } from "../../mesh/core/clock.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { Task } from "../../mesh/core/tasks.ts";
import { serveQuestions, type QuestionHandler } from "../../mesh/operations/ask.ts";
import type { OperationsConnection } from "../../mesh/operations/connection.ts";
import { parseQuestion } from "../../mesh/operations/parse-question.ts";
import type { FlowsAnswer, HealthAnswer, TimelineEntry } from "../../mesh/operations/questions.ts";
import type { DatapathMaps } from "../../bpf/datapath.ts";
import type { Agent } from "../agent.ts";
import { readClusterUsability } from "../apply/cluster-state.ts";
import type { IpCommand } from "../apply/ip-command.ts";
import type { AgentConfig } from "../config.ts";
import type { IsBackendDown } from "../plan/plan-service.ts";
import type { HealthView } from "../health/observation.ts";
import { answerQuestion, type AnswerParts } from "./answer.ts";
import { createCanaries, removeCanaryCgroup } from "./canaries.ts";
import { createInjector } from "./injector.ts";
import { listServiceFacts } from "./service-facts.ts";
import { createSlowWay } from "./slow-way.ts";
import { takeSnapshot } from "./snapshot.ts";

export interface DrillPartOptions {
  readonly config: Pick<AgentConfig, "cluster" | "nodeName" | "overlay" | "cgroup">;
  readonly version: string;
  readonly cgroupPath: string;
  readonly maps: DatapathMaps;
  readonly ip: IpCommand;
  readonly agent: Pick<Agent, "intent" | "services" | "peers">;
  readonly isDown: IsBackendDown;
  /** Undefined while nobody judges: then the datapath's rows say what is healthy. */
  readonly health:
    | {
        readonly timeline: { since(sinceMs: number): readonly TimelineEntry[] };
        status(): { readonly view: HealthView };
      }
    | undefined;
  /** Undefined where nobody follows the node's flows. */
  readonly flows: { readonly count: AnswerParts["countFlows"] } | undefined;
  /** Undefined without an operations plane. */
  readonly connection: OperationsConnection | undefined;
  readonly clock: Clock;
  /** CLOCK_MONOTONIC. */
  readonly kernelNowNs: () => bigint;
  readonly log: Logger;
}

export interface DrillPart {
  readonly tasks: readonly Task[];
  /** A question as JSON, and its answer as JSON. Rejects with what is wrong with it. */
  readonly ask: (question: string, signal: AbortSignal) => Promise<string>;
}

export function createDrillPart(options: DrillPartOptions): DrillPart {
  const { config, agent, maps, cgroupPath, clock, kernelNowNs, connection } = options;
  const { cluster, nodeName } = config;
  const log = options.log.with({ part: "drill" });
  const clusterId = (name: string): ClusterId | undefined =>
    name === cluster.name
      ? cluster.id
      : (agent.intent.peers.get(name)?.cluster.id ??
        agent.intent.own.configuredPeers.get(name)?.id);
  const injector = createInjector({
    faults: maps.faults,
    clusterId,
    slowWay: createSlowWay(config.overlay.device),
    kernelNowNs,
    clock,
    log,
  });
  // Below the root of the node's cgroups is everybody, and so are we.
  const balanced = config.cgroup.kind === "root" ? undefined : cgroupPath;
  const canaries = createCanaries({ cgroupPath: balanced, log });
  const parts: AnswerParts = {
    version: options.version,
    clock,
    cluster: cluster.name,
    node: nodeName,
    peers: () => [...agent.intent.peers.entries()].map(([name]) => name).sort(),
    clusterId,
    injector,
    canaries,
    services: (after: string) =>
      listServiceFacts(
        {
          intent: agent.intent,
          frontends: agent.services.desired,
          isDown: options.isDown,
          usable: (id, family) => {
            const { usable, drainedPercent } = readClusterUsability(maps.clusterState, {
              clusterId: id,
              family,
              kernelNowNs: kernelNowNs(),
            });
            // A drill counts on those alone that serve beside others.
            return usable && drainedPercent < 100;
          },
        },
        after,
      ),
    snapshot: (signal: AbortSignal) => takeSnapshot(options, signal),
    health: () =>
      options.health === undefined
        ? healthFromRows(options)
        : healthFromView(options.health.status().view),
    timeline: (sinceMs) => options.health?.timeline.since(sinceMs) ?? [],
    countFlows: (asked) => options.flows?.count(asked) ?? refuseToCount(),
  };

  const ended = new AbortController();
  const handler: QuestionHandler = (question) => answerQuestion(parts, question, ended.signal);
  const faults: Task = { name: "drill-faults", run: (signal) => injector.run(signal) };
  const canaryTask: Task = {
    name: "drill-canaries",
    async run(signal) {
      await removeCanaryCgroup(cgroupPath);
      await untilAborted(signal);
      ended.abort("the agent is ending");
      await canaries.close();
    },
  };
  const questions: Task[] =
    connection === undefined
      ? []
      : [
          {
            name: "drill-questions",
            run: (signal) => {
              const place = { cluster: cluster.name, node: nodeName };
              return serveQuestions(connection, { place, handler }, signal);
            },
          },
        ];
  return {
    tasks: [faults, canaryTask, ...questions],
    ask: async (question, signal) =>
      JSON.stringify(await answerQuestion(parts, parseQuestion(Buffer.from(question)), signal)),
  };
}

function refuseToCount(): Promise<FlowsAnswer> {
  return Promise.reject(
    new MeshError("unsupported", "Cannot count flows: this agent does not follow them"),
  );
}

export function healthFromView({ clusters, isolated }: HealthView): HealthAnswer {
  return {
    clusters: clusters.map(({ cluster, family, state }) => ({ name: cluster, family, state })),
    isolated,
  };
}

/** What the datapath's rows say, where nobody judges: it is what decides about connections. */
export function healthFromRows(
  options: Pick<DrillPartOptions, "agent" | "maps" | "kernelNowNs">,
): HealthAnswer {
  const { agent, maps, kernelNowNs } = options;
  const clusters = [...agent.intent.peers.entries()].flatMap(([name, peer]) =>
    ([4, 6] as const).map((family) => {
      const { health } = readClusterUsability(maps.clusterState, {
        clusterId: peer.cluster.id,
        family: family === 4 ? "ipv4" : "ipv6",
        kernelNowNs: kernelNowNs(),
      });
      return { name, family, state: health };
    }),
  );
  return { clusters, isolated: false };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
