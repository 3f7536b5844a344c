// An agent's status API with answers that a test gives, on a real unix socket; and what a command
// prints when it asks it.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  AgentHealth,
  AgentMethods,
  AgentService,
  AgentStatus,
} from "../../mesh/api/agent-messages.ts";
import { createAgentServer } from "../../mesh/api/agent-server.ts";
import type { Command } from "../../mesh/commands/command.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { policyMethods, type PolicyAnswers } from "./agent-policy-answers.ts";

export interface AgentApi extends AsyncDisposable {
  /** Knows the agent's node as "east-1". */
  readonly home: string;
  readonly socket: string;
}

export const STATUS: AgentStatus = {
  version: "0.1.0",
  node: "east-1",
  cluster: "east",
  clusterId: 1,
  uptimeSeconds: 12,
  ready: true,
  reasons: [],
  clusters: [
    {
      name: "east",
      id: 1,
      own: true,
      session: "ready",
      reason: "",
      listed: true,
      nodes: 2,
      endpoints: 5,
      services: 3,
      rejected: 0,
      rejectedLatest: [],
      heartbeatAgeSeconds: 3,
      reconnections: 0,
      usable: true,
      health: "healthy",
      drainedPercent: 0,
      drillSeconds: 0,
    },
  ],
  reconcilers: [
    {
      name: "ipcache",
      desired: 9,
      applied: 9,
      failed: 0,
      failedLatest: [],
      synced: true,
      pruned: true,
      contested: 0,
    },
  ],
  podPrefixes: ["10.1.1.0/24"],
  mtu: 1450,
  flows: {
    ended: [
      { reason: "cluster-down", flows: 10 },
      { reason: "node-down", flows: 0 },
      { reason: "backend-down", flows: 0 },
      { reason: "drain", flows: 2 },
    ],
    failures: 0,
    lastProblem: "",
    namespaces: 3,
    namespacesFailed: 0,
  },
};

export const HEALTH: AgentHealth = {
  node: "east-1",
  cluster: "east",
  enabled: true,
  intervalMs: 100,
  isolated: false,
  problem: "",
  rounds: 1_000,
  blindRounds: 0,
  clusters: [
    {
      name: "west",
      id: 2,
      family: 4,
      state: "healthy",
      reason: "",
      sinceSeconds: 60,
      heldBackPercent: 0,
      lossPercent: 0,
      roundTripMs: 0.25,
      usualRoundTripMs: 0.5,
      evidence: ["reason answers", "nodesProbed 2"],
    },
  ],
  nodes: [
    {
      cluster: "west",
      node: "west-1",
      family: 4,
      down: false,
      sent: 1_000,
      answered: 999,
      lastAnswerMsAgo: 40,
      roundTripMs: 0.25,
    },
  ],
  backendsDown: 0,
};

export const CART: AgentService = {
  namespace: "shop",
  name: "cart",
  global: true,
  shared: true,
  affinity: "local",
  notes: ["Port 9/SCTP is not balanced: want TCP or UDP"],
  frontends: [
    {
      address: "fd00:96::1",
      port: 80,
      protocol: "TCP",
      portName: "http",
      sessionAffinitySeconds: 0,
      failure: "",
      failovers: [
        { cluster: "east", shares: [{ cluster: "west", percent: 100 }] },
        { cluster: "west", shares: [] },
      ],
      groups: [
        {
          cluster: "east",
          clusterId: 1,
          tier: 0,
          weight: 1,
          backendCount: 1,
          usable: false,
          inUse: false,
          backends: [{ address: "fd00:1::5", port: 8080 }],
          sharePercent: 0,
          healthyBackends: 1,
          health: "down",
          drainedPercent: 0,
          drillSeconds: 0,
        },
        {
          cluster: "west",
          clusterId: 2,
          tier: 1,
          weight: 2,
          backendCount: 2,
          usable: true,
          inUse: true,
          backends: [
            { address: "fd00:2::5", port: 9090 },
            { address: "fd00:2::6", port: 9090 },
          ],
          sharePercent: 100,
          healthyBackends: 1,
          health: "healthy",
          drainedPercent: 25,
          drillSeconds: 0,
        },
      ],
    },
  ],
};

export async function startAgentApi(
  answers: {
    readonly status?: AgentStatus;
    readonly services?: readonly AgentService[];
    readonly health?: AgentHealth;
    readonly policy?: PolicyAnswers;
  } = {},
): Promise<AgentApi> {
  const home = await mkdtemp(join(tmpdir(), "tombolo-api-"));
  const socket = join(home, "agent.sock");
  const services = answers.services ?? [CART];
  const methods: AgentMethods<unknown> = {
    getStatus: () => Promise.resolve(answers.status ?? STATUS),
    getHealth: () => Promise.resolve(answers.health ?? HEALTH),
    listServices: ({ namespace }) =>
      Promise.resolve({
        services: services.filter((one) => namespace === "" || one.namespace === namespace),
      }),
    getService({ namespace, name }) {
      const service = services.find((one) => one.namespace === namespace && one.name === name);
      return service === undefined
        ? Promise.reject(new MeshError("not_found", `Cannot find service "${namespace}/${name}"`))
        : Promise.resolve({ service });
    },
  };
  const server = await createAgentServer({
    socket,
    methods,
    policy: policyMethods(answers.policy),
  });
  await mkdir(join(home, "nodes"));
  await writeFile(join(home, "nodes", "east-1.json"), JSON.stringify({ socket }));
  return {
    home,
    socket,
    async [Symbol.asyncDispose]() {
      server.close();
      await rm(home, { recursive: true });
    },
  };
}

/** Runs a command as `mesh` would, and returns what it printed on stdout. */
export async function runCommand(
  command: Command,
  args: readonly string[],
  options: { readonly home: string },
): Promise<{ readonly status: number; readonly text: string }> {
  let text = "";
  const stdout = { write: (part: string) => void (text += part), colour: false };
  const status = await command.run(args, {
    stdout,
    stderr: { write: () => {}, colour: false },
    log: silentLogger,
    clock: systemClock,
    random: Math.random,
    home: options.home,
    kubeconfigs: [],
    argv: [command.name, ...args],
    signal: new AbortController().signal,
  });
  return { status, text };
}
