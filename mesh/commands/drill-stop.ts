// `mesh drill stop`: the kill switch.
import { stopDrills } from "../drill/stop-drills.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { MESH_FLAGS, MESH_HELP, withDrillMesh } from "./drill-mesh.ts";

const USAGE = `Usage: mesh drill stop [--context NAME]... [--output table|json]

Ends whatever drill is under way, from any machine: every node and apiserver that can be reached
lifts every fault, and the drill's locks go, which stops its coordinator. What cannot be reached
ends by itself within seconds. The exit status is 1 if somebody could not be asked.

${MESH_HELP}  --output      table (default) or json

Example:
  mesh drill stop
`;

const FLAGS = {
  ...MESH_FLAGS,
  output: { type: "string" },
} as const;

export const drillStopCommand: Command = {
  name: "drill stop",
  summary: "end whatever drill is under way, from any machine",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    if (positionals.length > 0) {
      throw usageError(`Cannot stop "${positionals[0]}" alone: one drill runs at a time`, USAGE);
    }
    return withDrillMesh(values, context, async ({ mesh }) => {
      const stopped = await stopDrills(mesh, context.signal);
      if (format === "json") context.stdout.write(formatJson(stopped));
      else {
        for (const name of stopped.lifted) context.stdout.write(`${name}: nothing is injected\n`);
        for (const name of stopped.silent) {
          context.stdout.write(`${name}: no answer; what was injected ends by itself\n`);
        }
      }
      return stopped.silent.length === 0 ? 0 : 1;
    });
  },
};
