// `mesh drill plan`: what a drill would touch, exactly; touches nothing.
import { describePlan, type FlowCounts } from "../drill/describe-plan.ts";
import { askQuietly } from "../drill/ask-quietly.ts";
import type { DrillDefinition } from "../drill/definition.ts";
import type { DrillMesh } from "../drill/drill-mesh.ts";
import { gatherFacts, nodePlaces, type MeshFacts } from "../drill/facts.ts";
import { planDrill, type DrillPlan } from "../drill/plan.ts";
import { healthProblems } from "../drill/steady-state.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { parseArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { withDrillMesh } from "./drill-mesh.ts";
import {
  DEFINITION_FLAGS,
  DEFINITION_HELP,
  definitionFlags,
  readDefinition,
} from "./drill-options.ts";

const USAGE = `Usage: mesh drill plan FILE [--context NAME]... [--output table|json]
       mesh drill plan --fault KIND --cluster NAME [FLAGS] [--output table|json]

Shows what a drill would touch: nodes, services with their backends and flows, who would answer
instead, what is left, which services must not feel it, and where canaries go. Touches nothing. The
exit status is 1 if the survivors could not carry the load.

${DEFINITION_HELP}  --output            table (default) or json

Examples:
  mesh drill plan --fault cluster-black-hole --cluster west
  mesh drill plan --fault node-loss --cluster west --node west-node1 --output json
`;

const FLAGS = { ...DEFINITION_FLAGS, output: { type: "string" } } as const;

export const drillPlanCommand: Command = {
  name: "drill plan",
  summary: "what a drill would touch, exactly; touches nothing",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    const definition = await readDefinition(positionals, definitionFlags(values), USAGE);
    return withDrillMesh(values, context, async ({ mesh }) => {
      const { clock, signal } = context;
      const facts = await gatherFacts(mesh, { clock, signal });
      const plan = planDrill(definition, facts, definition.seed ?? 0);
      const flows = await countFlows(mesh, { definition, facts, plan }, signal);
      const unsteady = healthProblems(facts);
      if (format === "json") {
        const { services, notJudged, canaries, capacity, notes, effects } = plan;
        const { injections, breaks } = effects;
        const counts = Object.fromEntries(flows);
        context.stdout.write(
          formatJson({
            definition,
            injections,
            breaks,
            services,
            notJudged,
            canaries,
            flows: counts,
            capacity,
            notes,
            unsteady,
          }),
        );
      } else {
        context.stdout.write(describePlan(definition, plan, flows));
        for (const problem of unsteady) context.stdout.write(`! not steady now: ${problem}\n`);
      }
      return plan.capacity.length === 0 ? 0 : 1;
    });
  },
};

/** Established flows of the judged services to the faulted cluster, of all nodes. */
async function countFlows(
  mesh: DrillMesh,
  { definition, facts, plan }: { definition: DrillDefinition; facts: MeshFacts; plan: DrillPlan },
  signal: AbortSignal,
): Promise<FlowCounts> {
  const peer = definition.fault.cluster;
  const counts = new Map<string, number>();
  const places = facts.clusters.filter(({ name }) => name !== peer).flatMap(nodePlaces);
  for (const { service } of plan.services.filter(({ inScope }) => inScope)) {
    const answers = await Promise.all(
      places.map((place) => askQuietly(mesh, place, { ask: "flows", service, peer }, signal)),
    );
    const sum = answers.reduce((total, answer) => total + (answer?.established ?? 0), 0);
    counts.set(service, sum);
  }
  return counts;
}
