// The truth table without packets: generated policies in both languages, converted and resolved by
// the apiserver's code, computed by the agents' engine, looked up as the datapath would, against the
// reference evaluator. tests/e2e/policy-truth.test.ts is the same with real packets.
import { expect, test } from "@jest/globals";
import { createProjectAnswers } from "../../../policy/engine-answer.ts";
import { createRandom, generateSet } from "../../../policy/generate.ts";
import { plannedWorld } from "../../../policy/layout.ts";
import { matrixOf } from "../../../policy/matrix.ts";
import { evaluate } from "../../../policy/reference.ts";
import { packetName, type World } from "../../../policy/world.ts";

const SEED = Number(process.env["TOMBOLO_SEED"] ?? "20261122");
const SETS = Number(process.env["TOMBOLO_POLICY_SETS"] ?? "40");
const POLICIES_A_SET = 8;
/** Named in a failure; the count tells of the rest. */
const SHOWN = 30;

for (const [scope, sets] of [
  ["local", SETS],
  ["all", Math.ceil(SETS / 4)],
] as const) {
  test(`documents and maps agree for ${sets * POLICIES_A_SET} policies of scope ${scope}`, () => {
    const { disagreements, said } = compareSets({ ...plannedWorld(), scope }, sets);
    process.stderr.write(`truth table (seed ${SEED}, scope ${scope}): ${said}\n`);
    expect({ count: disagreements.length, some: disagreements.slice(0, SHOWN) }).toEqual({
      count: 0,
      some: [],
    });
  });
}

function compareSets(world: World, sets: number): { disagreements: string[]; said: string } {
  const packets = [...matrixOf(world)];
  const project = createProjectAnswers(world);
  const random = createRandom(SEED);
  const totals = { packets: 0, allowed: 0, entries: 0 };
  const disagreements: string[] = [];
  for (let n = 0; n < sets; n++) {
    const set = generateSet(random, { prefix: `s${n}`, size: POLICIES_A_SET });
    project.apply(set);
    totals.entries += project.entries;
    for (const packet of packets) {
      const wanted = evaluate(world, set, packet);
      totals.packets++;
      if (wanted.allowed) totals.allowed++;
      if (wanted.allowed === project.allows(packet)) continue;
      const said = `documents ${wanted.allowed ? "allow" : "deny"}, maps do not agree`;
      disagreements.push(`set ${n}: ${packetName(packet)}: ${said} (${wanted.why})`);
    }
  }
  const said =
    `${sets * POLICIES_A_SET} policies in ${sets} sets, ${packets.length} packets each, ` +
    `${totals.packets} verdicts, ${totals.allowed} allowed, ${totals.entries} map entries, ` +
    `${disagreements.length} disagreements`;
  return { disagreements, said };
}
