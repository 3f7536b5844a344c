// What the tests of the Kubernetes lab deploy: a shop whose Service is global, and a client that
// asks it steadily from a pod of its own namespace. As people write it: Deployments with a
// readiness probe and a preStop pause, so that Kubernetes itself loses no request when pods go.
import { readFileSync } from "node:fs";
import { parseRequestLine, type RequestRecord } from "../../deploy/lab/requests.ts";

export const SHOP = "shop";
export const CLIENT = "client";
export const TIMEOUT_MS = 10_000;
const NODE = ["/opt/tombolo/node_modules/.bin/node", "--disable-warning=ExperimentalWarning"];
const WORKLOAD = "/opt/tombolo/deploy/lab/workload";
const PORT = 8080;
/** Without a request a pod gets next to nothing of a busy machine, and its answers stand still. */
const RESOURCES = { requests: { cpu: "200m" } };
/** Longer than a change takes to reach the other cluster's nodes on a busy machine. */
const PAUSE_SECONDS = 6;

/** Namespace, Deployment with one pod a node, Service. */
export function shopManifests(shop: {
  readonly cluster: string;
  readonly image: string;
  readonly replicas: number;
}): object[] {
  const labels = { app: "cart" };
  const command = [...NODE, `${WORKLOAD}/echo.ts`, "--name", "$(CLUSTER)/$(POD)"];
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: SHOP } },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "cart", namespace: SHOP },
      spec: {
        replicas: shop.replicas,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: PAUSE_SECONDS + 4,
            affinity: oneOnEachNode(labels),
            containers: [
              {
                name: "cart",
                image: shop.image,
                imagePullPolicy: "Never",
                command: [...command, "--port", String(PORT)],
                env: [
                  { name: "CLUSTER", value: shop.cluster },
                  { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
                ],
                ports: [{ name: "main", containerPort: PORT }],
                resources: RESOURCES,
                readinessProbe: { tcpSocket: { port: "main" }, periodSeconds: 1 },
                lifecycle: { preStop: { exec: { command: ["sleep", String(PAUSE_SECONDS)] } } },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: {
        name: "cart",
        namespace: SHOP,
        annotations: { "service.cilium.io/global": "true" },
      },
      spec: { selector: labels, ports: [{ name: "main", port: 80, targetPort: "main" }] },
    },
  ];
}

/** A pod that asks the targets in turn and records every request in a file of this machine. */
export function clientManifests(client: {
  readonly name?: string;
  /** All requests to a target share one connection. */
  readonly keep?: boolean;
  readonly image: string;
  readonly node: string;
  readonly targets: readonly string[];
  readonly intervalMs: number;
  /** On this machine, which is every node's. */
  readonly directory: string;
}): object[] {
  const { name = "client" } = client;
  const flags = [
    ...(client.keep === true ? ["--keep"] : []),
    ...client.targets.flatMap((target) => ["--target", target]),
    `--interval-ms=${client.intervalMs}`,
    // Far beyond anything but a lost packet's third retransmission.
    `--timeout-ms=${TIMEOUT_MS}`,
    "--output=/records/requests.jsonl",
  ];
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: CLIENT } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: CLIENT, labels: { app: name } },
      spec: {
        nodeSelector: { "kubernetes.io/hostname": client.node },
        restartPolicy: "Never",
        containers: [
          {
            name: "client",
            image: client.image,
            imagePullPolicy: "Never",
            command: [...NODE, `${WORKLOAD}/client.ts`, ...flags],
            resources: RESOURCES,
            volumeMounts: [{ name: "records", mountPath: "/records" }],
          },
        ],
        volumes: [{ name: "records", hostPath: { path: client.directory } }],
      },
    },
  ];
}

/** What the client has recorded so far, in the order in which requests ended. */
export function readRecords(directory: string): RequestRecord[] {
  const text = readFileSync(`${directory}/requests.jsonl`, "utf8");
  // The last line may be half written.
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter(Boolean)
    .map(parseRequestLine);
}

function oneOnEachNode(matchLabels: object): object {
  const term = { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels } };
  return {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term }],
    },
  };
}
