// Looking at a Kubernetes cluster from inside: `mesh facts` and `mesh probe` run in the apiserver's
// container, for what cannot be reached from where the operator sits. Also the form in which their
// answers travel.
import { encodeBundle } from "../../pki/bundle.ts";
import type { TrustBundle } from "../../pki/bundle.ts";
import type { FactsMessage } from "../api/join-messages.ts";
import type { Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import { APISERVER_CONTAINER } from "../kubernetes/object-names.ts";
import type { ServiceLoss } from "./cluster-access.ts";
import type { ClusterFacts, EndpointFacts } from "./cluster-facts.ts";
import { factsFromMessage, messageFromFacts } from "./facts-message.ts";
import { findApiserverPod, type InPod } from "./kubernetes-apiserver.ts";

/** Another cluster's etcd, as a reader would look for it. */
export interface ProbeTarget {
  readonly cluster: string;
  readonly endpoints: readonly string[];
  readonly bundle: TrustBundle;
}

export interface InsideView {
  /** What etcd says, and how its endpoints answer inside; clocks are compared with ours. */
  readFacts(context: string, signal: AbortSignal): Promise<InsideFacts>;
  readLosses(peer: string, signal: AbortSignal): Promise<readonly ServiceLoss[]>;
  /** Whether the apiserver's machine reaches another cluster's etcd. */
  probe(target: ProbeTarget, signal: AbortSignal): Promise<readonly EndpointFacts[]>;
}

export type InsideFacts = Pick<
  ClusterFacts,
  "advertised" | "encryption" | "endpoints" | "peers" | "prefixes" | "version"
>;

/** What `mesh facts` prints. */
export interface InsideFactsMessage {
  readonly facts: FactsMessage;
  readonly advertised: ClusterFacts["advertised"];
  readonly endpoints: readonly EndpointFacts[];
}

export function createInsideView(options: InPod & { readonly clock: Clock }): InsideView {
  const { exec, namespace, clock } = options;
  const ask = async <T>(words: readonly string[], signal: AbortSignal): Promise<T> => {
    const pod = await findApiserverPod(options, signal);
    const target = { namespace, pod: pod.name, container: APISERVER_CONTAINER };
    const result = await exec.run({ ...target, argv: ["mesh", ...words] }, signal);
    if (result.status === 0) return parseAnswer<T>(result.stdout, pod.name);
    const said = result.stderr.trim().split("\n").at(0) ?? "";
    throw new MeshError(
      "unavailable",
      `Cannot look from inside pod "${pod.name}": ${said.replace(/^mesh: error: /, "")}`,
    );
  };
  return {
    readFacts: async (context, signal) => {
      const message = await ask<InsideFactsMessage>(["facts"], signal);
      return insideFactsFromMessage(message, { context, nowMs: clock.nowMs() });
    },
    readLosses: (peer, signal) => ask(["facts", "--losses-without", peer], signal),
    probe: ({ cluster, endpoints, bundle }, signal) => {
      const authorities = Buffer.from(encodeBundle(bundle)).toString("base64");
      return ask(
        ["probe", "--cluster", cluster, "--authorities", authorities, ...endpoints],
        signal,
      );
    },
  };
}

export function messageFromInsideFacts(facts: ClusterFacts, nowMs: number): InsideFactsMessage {
  const { advertised, endpoints } = facts;
  return { facts: messageFromFacts(facts, nowMs), advertised, endpoints };
}

/** The answer takes a moment; that is far less than the difference of clocks that matters. */
export function insideFactsFromMessage(
  message: InsideFactsMessage,
  options: { context: string; nowMs: number },
): InsideFacts {
  const { prefixes, encryption, version, peers } = factsFromMessage(message.facts, options);
  const aheadMs = Number(message.facts.nowMs) - options.nowMs;
  const endpoints = message.endpoints.map(({ endpoint, answer }) => ({
    endpoint,
    answer:
      answer.kind === "reachable"
        ? { ...answer, clockOffsetMs: (answer.clockOffsetMs ?? 0) + aheadMs }
        : answer,
  }));
  return { advertised: message.advertised, endpoints, prefixes, encryption, version, peers };
}

function parseAnswer<T>(text: string, pod: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new MeshError("unavailable", `Cannot read what pod "${pod}" answers: it is no JSON`, {
      cause,
    });
  }
}
