// The reference evaluator against verdicts written down by hand: what the documentation of
// Kubernetes and Cilium says about the examples that people start from.
import { describe, expect, test } from "@jest/globals";
import type { Applied, CiliumRule, NetworkPolicy } from "../../../policy/documents.ts";
import { plannedWorld } from "../../../policy/layout.ts";
import { evaluate } from "../../../policy/reference.ts";
import type { Packet, Party } from "../../../policy/world.ts";

const world = plannedWorld();

/** `web-1` and `west/web-1` are pods, `node1` nodes, `partner` is outside. */
function party(name: string): Party {
  const [cluster, short] = name.includes("/") ? name.split("/") : ["east", name];
  const found = [
    ...world.pods.filter((pod) => pod.cluster === cluster && pod.name === short),
    ...world.nodes.filter((node) => node.name === `${cluster}-${short}`),
    ...world.outside.filter((outside) => outside.name === short),
  ][0];
  if (found === undefined) throw new Error(`Nobody is called ${name}`);
  return found;
}

/** `web-1 > cart-1 TCP 8080`, of IPv4; IPv6 with ` 6` at the end. */
function packet(text: string): Packet {
  const match = /^(\S+) > (\S+) (TCP|UDP|ICMP|ICMPv6) (\d+)( 6)?$/.exec(text);
  const [, from = "", to = "", protocol = "", port = "", six] = match ?? [];
  return {
    from: party(from),
    to: party(to),
    family: six === undefined ? 4 : 6,
    protocol: protocol as Packet["protocol"],
    port: Number(port),
  };
}

function expectVerdicts(documents: readonly Applied[], verdicts: Record<string, boolean>): void {
  const found = Object.keys(verdicts).map((text) => {
    return [text, evaluate(world, documents, packet(text)).allowed];
  });
  expect(Object.fromEntries(found)).toEqual(verdicts);
}

function kubernetes(spec: NetworkPolicy["spec"], namespace = "shop", cluster = "east"): Applied {
  const metadata = { name: "one", namespace };
  return {
    cluster,
    document: { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata, spec },
  };
}

function cilium(spec: CiliumRule, namespace = "shop"): Applied {
  const kind = namespace === "" ? "CiliumClusterwideNetworkPolicy" : "CiliumNetworkPolicy";
  const metadata = namespace === "" ? { name: "one" } : { name: "one", namespace };
  return { cluster: "east", document: { apiVersion: "cilium.io/v2", kind, metadata, spec } };
}

test("without documents everything is allowed", () => {
  expectVerdicts([], {
    "web-1 > cart-1 TCP 8080": true,
    "west/db-1 > web-1 UDP 53 6": true,
    "partner > web-1 ICMP 8": true,
    "web-1 > stranger TCP 443": true,
  });
});

describe("NetworkPolicy", () => {
  test("isolates the pods of its namespace in the directions it names, and no others", () => {
    expectVerdicts([kubernetes({ podSelector: {}, policyTypes: ["Ingress"] })], {
      "db-1 > web-1 TCP 8080": false,
      "web-2 > web-1 TCP 8080": false,
      "stranger > cart-1 ICMP 8": false,
      "web-1 > db-1 TCP 8080": true,
      "web-1 > west/web-1 TCP 8080": true,
      "db-1 > minio-1 TCP 8080": true,
      "west/web-2 > west/web-1 TCP 8080": true,
    });
  });

  test("lets a pod's own node in, and no other node", () => {
    expectVerdicts([kubernetes({ podSelector: {}, policyTypes: ["Ingress"] })], {
      "node1 > web-1 TCP 8080": true,
      "node2 > web-1 TCP 8080": false,
      "west/node1 > web-1 TCP 8080": false,
    });
  });

  test("without types isolates ingress always, egress if it has egress rules", () => {
    expectVerdicts([kubernetes({ podSelector: {} })], {
      "db-1 > web-1 TCP 8080": false,
      "web-1 > db-1 TCP 8080": true,
    });
    expectVerdicts([kubernetes({ podSelector: {}, egress: [] })], {
      "db-1 > web-1 TCP 8080": false,
      "web-1 > db-1 TCP 8080": true,
    });
    expectVerdicts([kubernetes({ podSelector: {}, egress: [{ ports: [{ port: 443 }] }] })], {
      "web-1 > db-1 TCP 443": true,
      "web-1 > db-1 TCP 8080": false,
    });
  });

  test("an empty rule allows everything, of every protocol", () => {
    expectVerdicts([kubernetes({ podSelector: {}, ingress: [{}] })], {
      "partner > web-1 ICMPv6 128 6": true,
      "west/db-1 > web-1 TCP 8080": true,
    });
  });

  test("both selectors of one peer must hold; two peers are alternatives", () => {
    const namespaceSelector = { matchLabels: { team: "b" } };
    const podSelector = { matchLabels: { app: "web" } };
    const subject = { matchLabels: { app: "cart" } };
    const one = { podSelector: subject, ingress: [{ from: [{ namespaceSelector, podSelector }] }] };
    expectVerdicts([kubernetes(one)], {
      "web-1 > cart-1 TCP 9000": false,
      "db-1 > cart-1 TCP 9000": false,
    });
    const from = [{ namespaceSelector }, { podSelector }];
    expectVerdicts([kubernetes({ podSelector: subject, ingress: [{ from }] })], {
      "web-1 > cart-1 TCP 9000": true,
      "db-1 > cart-1 TCP 9000": true,
      "dns-1 > cart-1 TCP 9000": false,
      "west/web-1 > cart-1 TCP 9000": false,
      "west/db-1 > cart-1 TCP 9000": false,
    });
  });

  test("an ipBlock means what is outside, but for its exceptions", () => {
    const from = [
      { ipBlock: { cidr: "198.51.100.0/24", except: ["198.51.100.128/25"] } },
      { ipBlock: { cidr: "10.0.0.0/8" } },
    ];
    expectVerdicts([kubernetes({ podSelector: {}, ingress: [{ from }] })], {
      "partner > web-1 TCP 8080": true,
      "partner > web-1 TCP 8080 6": false,
      "hole > web-1 TCP 8080": false,
      "stranger > web-1 TCP 8080": false,
      "db-1 > web-1 TCP 8080": false,
    });
  });

  test("ports: TCP unless said, ranges with both ends, all of a protocol, no ICMP", () => {
    const ports = [{ port: 443 }, { port: 8080, endPort: 9000 }, { protocol: "UDP" }];
    expectVerdicts([kubernetes({ podSelector: {}, egress: [{ ports }] })], {
      "web-1 > db-1 TCP 443": true,
      "web-1 > db-1 TCP 8080": true,
      "web-1 > db-1 TCP 9000": true,
      "web-1 > db-1 TCP 9001": false,
      "web-1 > db-1 UDP 53": true,
      "web-1 > db-1 ICMP 8": false,
    });
  });

  test("a named port is the destination's own", () => {
    const ports = [{ port: "http" }];
    expectVerdicts([kubernetes({ podSelector: {}, ingress: [{ ports }] })], {
      "db-1 > web-1 TCP 8080": true,
      "db-1 > web-1 TCP 9000": false,
      "db-1 > web-1 UDP 8080": false,
      "db-1 > cart-1 TCP 9000": true,
      "db-1 > cart-1 TCP 8080": false,
    });
    const egress = { podSelector: {}, policyTypes: ["Egress"], egress: [{ ports }] };
    expectVerdicts([kubernetes(egress, "ops")], {
      "dns-1 > minio-1 TCP 9000": true,
      "dns-1 > minio-1 TCP 8080": false,
      "dns-1 > db-1 TCP 8080": false,
      "dns-1 > stranger TCP 8080": false,
    });
  });

  test("both ends must agree", () => {
    const to = [{ namespaceSelector: { matchLabels: { team: "b" } } }];
    const egress = kubernetes({ podSelector: {}, policyTypes: ["Egress"], egress: [{ to }] });
    const ingress = kubernetes({ podSelector: { matchLabels: { app: "db" } } }, "data");
    expectVerdicts([egress], {
      "web-1 > db-1 TCP 443": true,
      "web-1 > minio-1 TCP 443": true,
      "web-1 > dns-1 TCP 443": false,
      "web-1 > node1 TCP 443": false,
    });
    expectVerdicts([egress, ingress], {
      "web-1 > db-1 TCP 443": false,
      "web-1 > minio-1 TCP 443": true,
    });
  });
});

describe("CiliumNetworkPolicy", () => {
  const endpointSelector = { matchLabels: { app: "web" } };

  test("an empty selector of peers means the policy's namespace in the own cluster", () => {
    expectVerdicts([cilium({ endpointSelector, ingress: [{ fromEndpoints: [{}] }] })], {
      "cart-1 > web-1 TCP 443": true,
      "web-2 > web-1 ICMP 8": true,
      "db-1 > web-1 TCP 443": false,
      "west/cart-1 > web-1 TCP 443": false,
      "partner > web-1 TCP 443": false,
    });
  });

  test("an empty rule isolates and allows nothing; no rules do nothing", () => {
    expectVerdicts([cilium({ endpointSelector, egress: [{}] })], {
      "web-1 > cart-1 TCP 443": false,
      "cart-1 > web-1 TCP 443": true,
    });
    expectVerdicts([cilium({ endpointSelector, egress: [], ingress: [] })], {
      "web-1 > cart-1 TCP 443": true,
    });
  });

  test("labels of namespace, cluster and account select beyond namespace and cluster", () => {
    const fromEndpoints = [
      { matchLabels: { "k8s:io.kubernetes.pod.namespace": "data", app: "db" } },
      { matchLabels: { "io.cilium.k8s.namespace.labels.team": "ops" } },
      { matchLabels: { "io.cilium.k8s.policy.cluster": "west", "any:app": "cart" } },
      { matchLabels: { "io.cilium.k8s.policy.serviceaccount": "cart" } },
    ];
    expectVerdicts([cilium({ endpointSelector, ingress: [{ fromEndpoints }] })], {
      "db-1 > web-1 TCP 443": true,
      "minio-1 > web-1 TCP 443": false,
      "west/db-1 > web-1 TCP 443": false,
      "dns-1 > web-1 TCP 443": true,
      "west/cart-1 > web-1 TCP 443": true,
      "west/web-1 > web-1 TCP 443": false,
      "cart-1 > web-1 TCP 443": true,
      "web-2 > web-1 TCP 443": false,
    });
  });

  test("clusterwide, peers are of every namespace; a named cluster is meant alone", () => {
    const matchExpressions = [{ key: "io.cilium.k8s.policy.cluster", operator: "Exists" }];
    const rule = { endpointSelector, ingress: [{ fromEndpoints: [{}] }] };
    expectVerdicts([cilium(rule, "")], {
      "dns-1 > web-1 TCP 443": true,
      "west/web-1 > web-1 TCP 443": false,
      "node2 > web-1 TCP 443": false,
    });
    expectVerdicts(
      [cilium({ ...rule, ingress: [{ fromEndpoints: [{ matchExpressions }] }] }, "")],
      {
        "west/dns-1 > web-1 TCP 443": true,
      },
    );
  });

  test("entities", () => {
    const rule = (entity: string): Applied[] => [
      cilium({ endpointSelector, egress: [{ toEntities: [entity] }] }),
    ];
    const verdicts = (expected: readonly boolean[]): Record<string, boolean> =>
      Object.fromEntries(
        ["db-1", "west/db-1", "node1", "node2", "west/node1", "partner"].map((to, i) => [
          `web-1 > ${to} TCP 443 6`,
          expected[i] === true,
        ]),
      );
    expectVerdicts(rule("all"), verdicts([true, true, true, true, true, true]));
    expectVerdicts(rule("cluster"), verdicts([true, false, true, true, true, false]));
    expectVerdicts(rule("world"), verdicts([false, false, false, false, false, true]));
    expectVerdicts(rule("host"), verdicts([false, false, true, false, false, false]));
    expectVerdicts(rule("remote-node"), verdicts([false, false, false, true, true, false]));
    expectVerdicts(rule("health"), verdicts([]));
  });

  test("a deny beats every allow, and isolates as well unless told otherwise", () => {
    const fromEndpoints = [{ matchLabels: { app: "cart" } }];
    const toPorts = [{ ports: [{ port: "443", protocol: "TCP" }] }];
    const deny = { endpointSelector, ingressDeny: [{ fromEndpoints, toPorts }] };
    const allow = kubernetes({ podSelector: {}, ingress: [{}] });
    expectVerdicts([cilium(deny), allow], {
      "cart-1 > web-1 TCP 443": false,
      "cart-1 > web-1 TCP 8080": true,
      "cart-1 > web-1 ICMP 8": true,
      "web-2 > web-1 TCP 443": true,
    });
    expectVerdicts([cilium(deny)], { "web-2 > web-1 TCP 443": false });
    expectVerdicts([cilium({ ...deny, enableDefaultDeny: { ingress: false } })], {
      "web-2 > web-1 TCP 443": true,
      "cart-1 > web-1 TCP 443": false,
    });
  });

  test("a deny keeps the own node out, too", () => {
    const rule = { endpointSelector, ingressDeny: [{ fromEntities: ["host"] }] };
    expectVerdicts([cilium(rule)], {
      "node1 > web-1 TCP 443": false,
      "node2 > web-1 TCP 443": false,
    });
  });

  test("ports without a protocol are TCP's and UDP's, port 0 is all, ICMP is by type", () => {
    const toPorts = [{ ports: [{ port: "8080" }, { port: "0", protocol: "UDP" }] }];
    expectVerdicts([cilium({ endpointSelector, egress: [{ toPorts }] })], {
      "web-1 > db-1 TCP 8080": true,
      "web-1 > db-1 UDP 8080": true,
      "web-1 > db-1 UDP 53": true,
      "web-1 > partner TCP 8080": true,
      "web-1 > db-1 TCP 443": false,
      "web-1 > db-1 ICMP 8": false,
    });
    const icmps = [{ fields: [{ type: 8 }, { family: "IPv6", type: "EchoRequest" }] }];
    expectVerdicts([cilium({ endpointSelector, egress: [{ icmps }] })], {
      "web-1 > db-1 ICMP 8": true,
      "web-1 > db-1 ICMPv6 128 6": true,
      "web-1 > db-1 TCP 8080": false,
    });
  });

  test("a service means the pods behind it in the own cluster", () => {
    const k8sService = { serviceName: "store", namespace: "data" };
    expectVerdicts([cilium({ endpointSelector, egress: [{ toServices: [{ k8sService }] }] })], {
      "web-1 > minio-1 TCP 9000": true,
      "web-1 > db-1 TCP 9000": false,
      "web-1 > west/minio-1 TCP 9000": false,
    });
  });

  test("what nobody can do here fails closed", () => {
    const http = [{ ports: [{ port: "443" }], rules: { http: [{ method: "GET" }] } }];
    const fqdn = { toFQDNs: [{ matchName: "example.org" }] };
    for (const egress of [[{ toPorts: http }], [fqdn], [{ toNodes: [{}] }]]) {
      expectVerdicts([cilium({ endpointSelector, egress })], {
        "web-1 > partner TCP 443": false,
        "web-1 > db-1 TCP 443": false,
      });
      // Also where the document says that nothing shall be closed by default.
      const open = { enableDefaultDeny: { egress: false } };
      expectVerdicts([cilium({ endpointSelector, egress, ...open })], {
        "web-1 > partner TCP 443": false,
      });
    }
  });

  test("a rule about nodes is about no pod", () => {
    expectVerdicts([cilium({ nodeSelector: {}, ingress: [{}] }, "")], {
      "db-1 > web-1 TCP 443": true,
    });
  });
});
