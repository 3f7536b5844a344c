// `mesh lab status`: what of a lab runs, and where to look at it.
import { openLab } from "../../deploy/lab/lab.ts";
import { isLabWhole, readLabStatus } from "../../deploy/lab/status.ts";
import type { LabStatus } from "../../deploy/lab/status.ts";
import { formatJson, formatTable, parseOutputFormat } from "../terminal.ts";
import type { Command } from "./command.ts";
import { DEFAULT_LAB_NAME, parseLabArguments } from "./lab-options.ts";

const USAGE = `Usage: mesh lab status [--name NAME] [--output table|json]

Exit status 1 means that something that should run does not; \`mesh lab up\` repairs it.

  --name NAME       name of the lab (lab)
  --output FORMAT   table or json (table)

Example:
  mesh lab status --output json
`;

export const labStatus: Command = {
  name: "lab status",
  summary: "show a lab's clusters, processes and pods",
  usage: USAGE,
  async run(args, context) {
    const { values } = parseLabArguments(args, {
      usage: USAGE,
      flags: {
        name: { type: "string", default: DEFAULT_LAB_NAME },
        output: { type: "string" },
      },
    });
    const format = parseOutputFormat(values.output);
    const status = await readLabStatus(await openLab(values.name, context));
    context.stdout.write(format === "json" ? formatJson(status) : formatLabStatus(status));
    return isLabWhole(status) ? 0 : 1;
  },
};

function formatLabStatus(status: LabStatus): string {
  const nodes = status.clusters.flatMap(({ name, id, nodes: members }) =>
    members.map((node) => ({ ...node, cluster: name, id })),
  );
  const parts = [
    formatTable(
      [
        { header: "CLUSTER", text: ({ cluster }) => cluster },
        { header: "ID", text: ({ id }) => String(id), align: "right" },
        { header: "NODE", text: ({ name }) => name },
        { header: "ADDRESSES", text: ({ addresses }) => addresses.join(" ") },
        { header: "POD PREFIXES", text: ({ podPrefixes }) => podPrefixes.join(" ") },
        { header: "STATE", text: (node) => (node.namespaceExists ? "there" : "MISSING") },
      ],
      nodes,
    ),
    formatTable(
      [
        { header: "PROCESS", text: ({ name }) => name },
        { header: "PID", text: ({ pid }) => pid?.toString() ?? "-", align: "right" },
        { header: "STATE", text: ({ pid }) => (pid === undefined ? "DEAD" : "runs") },
        { header: "LOG", text: ({ logFile }) => logFile },
      ],
      status.processes,
    ),
  ];
  if (status.pods.length > 0) {
    parts.push(
      formatTable(
        [
          { header: "POD", text: (pod) => `${pod.cluster}/${pod.namespace}/${pod.name}` },
          { header: "NODE", text: ({ node }) => node },
          { header: "ADDRESSES", text: ({ addresses }) => addresses.join(" ") },
          { header: "STATE", text: ({ running }) => (running ? "runs" : "DEAD") },
          { header: "RESTARTS", text: ({ restarts }) => String(restarts), align: "right" },
        ],
        status.pods,
      ),
    );
  }
  return parts.join("\n");
}
