// `mesh lab cut` and `mesh lab heal`: a lab's underlay as it is on a bad day.
import { cutUnderlay, healUnderlay, type CutDirection } from "../../deploy/lab/underlay.ts";
import { openLab } from "../../deploy/lab/lab.ts";
import { MeshError } from "../core/errors.ts";
import type { Command } from "./command.ts";
import { DEFAULT_LAB_NAME, parseLabArguments } from "./lab-options.ts";

const DIRECTIONS: readonly CutDirection[] = ["both", "outbound", "inbound"];

const CUT_USAGE = `Usage: mesh lab cut [--name NAME] [--direction both|outbound|inbound] CLUSTER | CLUSTER/NODE

Cuts a whole cluster, or one node, off the lab's underlay: the router drops its packets without a
word, as a dead line between sites does. Members of a cut cluster still reach each other.
\`mesh lab heal\` undoes all cuts.

  --name NAME       name of the lab (lab)
  --direction WAY   only what it sends (outbound) or is sent (inbound); both by default

Example:
  mesh lab cut west
`;

const HEAL_USAGE = `Usage: mesh lab heal [--name NAME]

Undoes every cut that \`mesh lab cut\` has made.

  --name NAME       name of the lab (lab)

Example:
  mesh lab heal
`;

export const labCut: Command = {
  name: "lab cut",
  summary: "cut a cluster or a node off a lab's underlay",
  usage: CUT_USAGE,
  async run(args, context) {
    const { values, positionals } = parseLabArguments(args, {
      usage: CUT_USAGE,
      flags: {
        name: { type: "string", default: DEFAULT_LAB_NAME },
        direction: { type: "string", default: "both" },
      },
      words: 1,
    });
    const direction = DIRECTIONS.find((known) => known === values.direction);
    if (direction === undefined) {
      throw new MeshError(
        "invalid_argument",
        `Cannot cut in direction "${values.direction}": want ${DIRECTIONS.join(", ")}`,
      );
    }
    const [where = ""] = positionals;
    const { plan } = await openLab(values.name, context);
    await cutUnderlay(plan, { where, direction }, context.signal);
    context.stdout.write(`${where} is cut off (${direction})\n`);
    return 0;
  },
};

export const labHeal: Command = {
  name: "lab heal",
  summary: "undo every cut of a lab's underlay",
  usage: HEAL_USAGE,
  async run(args, context) {
    const { values } = parseLabArguments(args, {
      usage: HEAL_USAGE,
      flags: { name: { type: "string", default: DEFAULT_LAB_NAME } },
    });
    const { plan } = await openLab(values.name, context);
    await healUnderlay(plan, context.signal);
    context.stdout.write("the underlay is whole\n");
    return 0;
  },
};
