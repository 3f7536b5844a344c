// `mesh lab down`: removes a lab whole, in whatever state it is.
import { takeLabDown } from "../../deploy/lab/lab.ts";
import type { Command } from "./command.ts";
import { DEFAULT_LAB_NAME, labEnvironment, parseLabArguments } from "./lab-options.ts";

const USAGE = `Usage: mesh lab down [--name NAME]

Removes everything that carries the lab's name, also when all of its processes are dead or it was
only half made. Removing a lab that is not there is no error.

  --name NAME       name of the lab (lab)

Example:
  mesh lab down
`;

export const labDown: Command = {
  name: "lab down",
  summary: "remove a lab: processes, namespaces, pins, files",
  usage: USAGE,
  async run(args, context) {
    const { values } = parseLabArguments(args, {
      usage: USAGE,
      flags: { name: { type: "string", default: DEFAULT_LAB_NAME } },
    });
    await takeLabDown(values.name, labEnvironment(context));
    context.stdout.write(`lab "${values.name}" is gone\n`);
    return 0;
  },
};
