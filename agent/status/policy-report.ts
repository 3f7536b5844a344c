// What the status API answers about policy, put together from the agent's state and the kernel's
// maps at the moment of the call. What an answer costs is proportional to what it shows; long ones
// are made in turns (turns.ts).
import type { AgentEndpoint, PolicyMethods } from "../../mesh/api/policy-messages.ts";
import { identityRange } from "../../mesh/core/identity.ts";
import { openIdentityBook } from "../observe/identity-book.ts";
import { nodePods } from "./node-pods.ts";
import type { PolicyReportParts } from "./policy-parts.ts";
import { createPolicyCosts } from "./policy-costs.ts";
import { endpointOf, entriesOf } from "./report-endpoints.ts";
import { reportIdentities } from "./report-identities.ts";
import { reportPolicies } from "./report-policies.ts";
import { findPod, tracePolicy } from "./trace-policy.ts";
import { createTurns } from "./turns.ts";

/** What policies cost is computed from their rules: some ms for a pod that has many. */
const STEPS_A_POD = 512;

/** What is asked of a call's context: whether somebody waits for the answer. */
export interface AskedBy {
  readonly signal: AbortSignal;
}

export function createPolicyReport(parts: PolicyReportParts): PolicyMethods<AskedBy> {
  const { cluster, nodeName } = parts;
  const from = { node: nodeName, cluster: cluster.name };
  const ownRange = identityRange(cluster.id, cluster.maxConnectedClusters);
  const open = () => ({
    parts,
    ownRange,
    book: openIdentityBook(parts),
    costs: createPolicyCosts(parts.engine),
  });
  return {
    async listEndpoints({ namespace }, { signal }) {
      const context = open();
      const turns = createTurns(parts.clock, signal);
      const endpoints: AgentEndpoint[] = [];
      for (const pod of nodePods(parts)) {
        if (namespace !== "" && pod.namespace !== namespace) continue;
        endpoints.push(endpointOf(pod, context));
        await turns.after(STEPS_A_POD);
      }
      return { ...from, endpoints };
    },
    async getEndpoint(request) {
      const context = open();
      const pod = findPod(request, parts);
      const endpoint = { ...endpointOf(pod, context), entries: entriesOf(pod, context) };
      return { endpoint };
    },
    async listPolicies({ namespace }, { signal }) {
      const turns = createTurns(parts.clock, signal);
      const policies = await reportPolicies(namespace, { ...open(), turns });
      return { ...from, synced: parts.intent.own.policies.synced, policies };
    },
    async tracePolicy(request) {
      return tracePolicy(request, open());
    },
    async listIdentities(request, { signal }) {
      const turns = createTurns(parts.clock, signal);
      return { identities: await reportIdentities(request, { ...open(), turns }) };
    },
    observe: (request, context) => parts.observe(request, context),
  };
}
