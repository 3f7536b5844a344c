// What the agent of `agent-api.ts` answers about policies, identities and flows.
import type {
  AgentEndpoint,
  AgentFlow,
  AgentIdentity,
  AgentPolicy,
  AgentTrace,
  Observed,
  PolicyMethods,
  TraceRequest,
} from "../../mesh/api/policy-messages.ts";
import { MeshError } from "../../mesh/core/errors.ts";

const RULE = { policy: "NetworkPolicy/shop/cart", path: "spec.ingress[0]" };

export const ENDPOINT: AgentEndpoint = {
  namespace: "shop",
  name: "cart-1",
  addresses: ["10.1.1.5", "fd00:10:1:1::5"],
  interfaceIndex: 12,
  identity: 65_537,
  labels: ["k8s:app=cart", "k8s:io.kubernetes.pod.namespace=shop"],
  revision: 7,
  inForce: true,
  ingressDefaultDeny: true,
  egressDefaultDeny: false,
  entryCount: 3,
  entryLimit: 16_384,
  problem: "",
  costs: [{ policy: "NetworkPolicy/shop/cart", entries: 2 }],
  entries: [
    {
      direction: "egress",
      identity: 0,
      cidr: "",
      protocol: "ANY",
      firstPort: 0,
      lastPort: 65_535,
      verdict: "allow",
      rule: null,
    },
    {
      direction: "ingress",
      identity: 65_538,
      cidr: "",
      protocol: "TCP",
      firstPort: 8080,
      lastPort: 8080,
      verdict: "allow",
      rule: RULE,
    },
    {
      direction: "ingress",
      identity: 16_777_216,
      cidr: "198.51.100.0/24",
      protocol: "TCP",
      firstPort: 8080,
      lastPort: 8095,
      verdict: "deny",
      rule: RULE,
    },
  ],
};

export const CLOSED_ENDPOINT: AgentEndpoint = {
  ...ENDPOINT,
  name: "new-1",
  addresses: [],
  identity: 0,
  labels: [],
  revision: 0,
  inForce: false,
  entryCount: 0,
  problem: "its identity is not known yet",
  costs: [],
  entries: [],
};

export const POLICY: AgentPolicy = {
  kind: "NetworkPolicy",
  namespace: "shop",
  name: "cart",
  refusals: [],
  rules: [
    {
      path: "spec",
      subject: "k8s:app=cart",
      ingressDefaultDeny: true,
      egressDefaultDeny: false,
      traffic: [
        {
          path: "spec.ingress[0]",
          direction: "ingress",
          verdict: "allow",
          anyPeer: false,
          peers: [{ text: "pods k8s:app=web", identities: 2 }],
          anyPort: false,
          ports: ["TCP 8080"],
        },
      ],
    },
  ],
  endpoints: ["shop/cart-1"],
  entries: 2,
  inForce: true,
};

export const REFUSED_POLICY: AgentPolicy = {
  kind: "CiliumClusterwideNetworkPolicy",
  namespace: "",
  name: "l7",
  refusals: [
    { path: "spec.ingress[0].toPorts[0].rules", message: "L7 rules cannot be enforced: nobody" },
  ],
  rules: [
    {
      path: "spec",
      subject: "",
      ingressDefaultDeny: true,
      egressDefaultDeny: false,
      traffic: [
        {
          path: "spec.ingress[0]",
          direction: "ingress",
          verdict: "allow",
          anyPeer: true,
          peers: [],
          anyPort: false,
          ports: [],
        },
      ],
    },
  ],
  endpoints: [],
  entries: 0,
  inForce: false,
};

export const TRACE: AgentTrace = {
  node: "east-1",
  cluster: "east",
  identity: 65_537,
  labels: ENDPOINT.labels,
  peerAddress: "10.2.1.9",
  peerIdentity: 131_073,
  peerAggregate: 12,
  peerLabels: ["k8s:app=web", "k8s:io.cilium.k8s.policy.cluster=west"],
  defaultDeny: true,
  policy: { verdict: "allow", why: "allowed by a rule", rule: RULE },
  datapath: { verdict: "allow", why: "allowed by a rule", rule: RULE },
  rules: [
    { rule: RULE, verdict: "allow", decides: true, peer: "pods k8s:app=web", port: "TCP 8080" },
  ],
};

export const IDENTITY: AgentIdentity = {
  number: 131_073,
  cluster: "west",
  labels: TRACE.peerLabels,
  addresses: 2,
  rules: [],
};

export const WORLD: AgentIdentity = {
  number: 2,
  cluster: "",
  labels: ["reserved:world"],
  addresses: 0,
  rules: [],
};

export const FLOW: AgentFlow = {
  timeMs: Date.UTC(2026, 10, 22, 10, 0, 0, 250),
  node: "east-1",
  verdict: "dropped",
  reason: "no-policy",
  direction: "ingress",
  protocol: "TCP",
  source: {
    address: "10.2.1.9",
    port: 40_000,
    identity: 131_073,
    cluster: "west",
    namespace: "shop",
    pod: "web-1",
    labels: TRACE.peerLabels,
  },
  destination: {
    address: "10.1.1.5",
    port: 8080,
    identity: 65_537,
    cluster: "east",
    namespace: "shop",
    pod: "cart-1",
    labels: ENDPOINT.labels,
  },
  rule: null,
  packets: 3,
  bytes: 180,
  state: "",
  replyPackets: 0,
  replyBytes: 0,
};

/** From outside the mesh, allowed. */
export const WORLD_FLOW: AgentFlow = {
  ...FLOW,
  timeMs: FLOW.timeMs + 1_000,
  verdict: "forwarded",
  reason: "",
  source: {
    address: "2001:db8::7",
    port: 40_001,
    identity: 10,
    cluster: "",
    namespace: "",
    pod: "",
    labels: ["reserved:world-ipv6"],
  },
  destination: FLOW.destination,
  rule: RULE,
  packets: 1,
  bytes: 60,
  state: "closed",
  replyPackets: 2,
  replyBytes: 1_500,
};

export interface PolicyAnswers {
  readonly endpoints?: readonly AgentEndpoint[];
  readonly policies?: readonly AgentPolicy[];
  readonly identities?: readonly AgentIdentity[];
  readonly trace?: (request: TraceRequest) => AgentTrace;
  readonly observed?: readonly Observed[];
}

export function policyMethods(answers: PolicyAnswers = {}): PolicyMethods<unknown> {
  const { endpoints = [ENDPOINT, CLOSED_ENDPOINT], policies = [POLICY, REFUSED_POLICY] } = answers;
  const { identities = [WORLD, IDENTITY], trace = () => TRACE } = answers;
  const from = { node: "east-1", cluster: "east" };
  const isIn =
    (namespace: string) =>
    (one: { readonly namespace: string }): boolean =>
      namespace === "" || one.namespace === namespace;
  return {
    listEndpoints: async ({ namespace }) => ({
      ...from,
      endpoints: endpoints.filter(isIn(namespace)).map((one) => ({ ...one, entries: [] })),
    }),
    async getEndpoint({ namespace, name }) {
      const endpoint = endpoints.find((one) => one.namespace === namespace && one.name === name);
      if (endpoint !== undefined) return { endpoint };
      throw new MeshError("not_found", `Cannot find pod "${namespace}/${name}" on node "east-1"`);
    },
    listPolicies: async ({ namespace }) => ({
      ...from,
      synced: true,
      policies: policies.filter(isIn(namespace)),
    }),
    async tracePolicy(request) {
      return trace(request);
    },
    listIdentities: async ({ number, cluster }) => ({
      identities: identities.filter(
        (one) =>
          (number === 0 || one.number === number) && (cluster === "" || one.cluster === cluster),
      ),
    }),
    async *observe() {
      yield* (
        answers.observed ?? [
          { flow: FLOW, lost: 0 },
          { flow: null, lost: 4 },
          { flow: WORLD_FLOW, lost: 0 },
        ]
      );
    },
  };
}
