// `mesh lab pod add` and `mesh lab pod delete`: pods of a lab, one at a time.
import { openLab } from "../../deploy/lab/lab.ts";
import { createPod, deletePod, podText } from "../../deploy/lab/pods.ts";
import type { PodSpec, Workload } from "../../deploy/lab/pods.ts";
import { requireManifests } from "../../deploy/lab/source.ts";
import { MeshError } from "../core/errors.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import type { Command } from "./command.ts";
import { DEFAULT_LAB_NAME, parseLabArguments } from "./lab-options.ts";

const DEFAULT_PORT = "8080";
const DEFAULT_GRACE_SECONDS = "2";

const ADD_USAGE = `Usage: mesh lab pod add [--name NAME] CLUSTER/NAMESPACE/POD [FLAGS] [-- COMMAND [ARGUMENTS]]

Without a command the pod answers each line (TCP) and datagram (UDP) with its own name.

  --name NAME          name of the lab (lab)
  --node NODE          where it runs (node1)
  --label KEY=VALUE    a label; may be repeated
  --service-account A  (default)
  --port PORT          the port it answers on, named "main" (8080)
  --output FORMAT      table or json (table)

Example:
  mesh lab pod add east/shop/cart-9 --node node2 --label app=cart
`;

export const labPodAdd: Command = {
  name: "lab pod add",
  summary: "start a pod in a lab",
  usage: ADD_USAGE,
  async run(args, context) {
    const dashes = args.indexOf("--");
    const { values, positionals } = parseLabArguments(dashes < 0 ? args : args.slice(0, dashes), {
      usage: ADD_USAGE,
      flags: {
        name: { type: "string", default: DEFAULT_LAB_NAME },
        node: { type: "string", default: "node1" },
        label: { type: "string", multiple: true },
        "service-account": { type: "string", default: "default" },
        port: { type: "string", default: DEFAULT_PORT },
        output: { type: "string" },
      },
      words: 1,
    });
    const format = parseOutputFormat(values.output);
    const port = parsePort(values.port);
    const workload: Workload =
      dashes < 0 ? { kind: "echo", port } : { kind: "command", argv: args.slice(dashes + 1) };
    const spec: PodSpec = {
      ...parsePodName(positionals),
      node: values.node,
      labels: Object.fromEntries((values.label ?? []).map(parseLabel)),
      serviceAccount: values["service-account"],
      workload,
      ports: [
        { name: "main", containerPort: port, protocol: "TCP" },
        { name: "main-udp", containerPort: port, protocol: "UDP" },
      ],
    };
    const host = await openLab(values.name, context);
    requireManifests(host.plan, "add a pod");
    const pod = await createPod(host, spec, context.signal);
    context.stdout.write(
      format === "json"
        ? formatJson(pod)
        : `pod ${podText(pod)} is ready at ${pod.addresses.join(" and ")}\n`,
    );
    return 0;
  },
};

const DELETE_USAGE = `Usage: mesh lab pod delete [--name NAME] CLUSTER/NAMESPACE/POD [--grace SECONDS]

Marks the pod not ready, lets it serve for the grace, then ends it.

  --name NAME       name of the lab (lab)
  --grace SECONDS   0 to 300 (2)

Example:
  mesh lab pod delete east/shop/cart-9
`;

export const labPodDelete: Command = {
  name: "lab pod delete",
  summary: "take a pod of a lab away, gracefully",
  usage: DELETE_USAGE,
  async run(args, context) {
    const { values, positionals } = parseLabArguments(args, {
      usage: DELETE_USAGE,
      flags: {
        name: { type: "string", default: DEFAULT_LAB_NAME },
        grace: { type: "string", default: DEFAULT_GRACE_SECONDS },
      },
      words: 1,
    });
    const pod = parsePodName(positionals);
    const graceMs = parseGrace(values.grace);
    const host = await openLab(values.name, context);
    requireManifests(host.plan, "delete a pod");
    await deletePod(host, pod, { graceMs, signal: context.signal });
    context.stdout.write(`pod ${podText(pod)} is gone\n`);
    return 0;
  },
};

function parsePodName(
  positionals: readonly string[],
): Pick<PodSpec, "cluster" | "namespace" | "name"> {
  const [cluster = "", namespace = "", name = "", ...rest] = positionals[0]?.split("/") ?? [];
  if (name === "" || rest.length > 0) {
    throw new MeshError(
      "invalid_argument",
      `Cannot use ${JSON.stringify(positionals.join(" "))} as pod: want CLUSTER/NAMESPACE/POD`,
    );
  }
  return { cluster, namespace, name };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  throw new MeshError("invalid_argument", `Cannot use "${text}" as port: want 1 to 65535`);
}

function parseGrace(text: string): number {
  const seconds = Number(text);
  if (seconds >= 0 && seconds <= 300) return seconds * 1000;
  throw new MeshError("invalid_argument", `Cannot use "${text}" as grace: want 0 to 300 seconds`);
}

function parseLabel(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new MeshError("invalid_argument", `Cannot use "${text}" as label: want KEY=VALUE`);
}
