// The truth table on real packets: generated policies in both languages, in two connected clusters,
// every pair of pods, nodes and outside hosts, TCP, UDP and echo requests, both families. Three
// answers must agree: that of the reference evaluator (tests/policy/reference.ts), that of the maps
// in the kernel, looked up here, and whether the packet came through.
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { labDaemons, startDaemons } from "../../deploy/lab/daemons.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import type { Applied } from "../policy/documents.ts";
import { createRandom, generateSet } from "../policy/generate.ts";
import { matrixOf } from "../policy/matrix.ts";
import { evaluate } from "../policy/reference.ts";
import { packetName, type Packet } from "../policy/world.ts";
import {
  applyPolicies,
  canBeProbed,
  openPolicyLab,
  untilEnforced,
  type PolicyLab,
} from "./policy-lab.ts";
import { readMapVerdicts } from "./policy-maps.ts";
import { createTestLab, killDaemons, mustSucceed, never, UP_LIMIT_MS } from "./test-lab.ts";

const SEED = Number(process.env["TOMBOLO_SEED"] ?? "20261122");
const SETS = 26;
const POLICIES_A_SET = 8;
const LIMIT_MS = 600_000;
/** Whoever is let through answers within this, or the machine is too busy to tell. */
const PROBE_LIMIT_MS = 1_000;
const PROBE_LIMIT_MAX_MS = 16_000;
/** Of those who are to come through: with more late ones, silence is no evidence of a drop. */
const LATE_SHARE_MAX = 0.005;
const AGAIN_LIMIT_MS = 5_000;

const lab = createTestLab("policy");
let truth: PolicyLab;

beforeAll(async () => {
  mustSucceed(await lab.up(["--clusters", "east,west", "--nodes", "2"]));
  mustSucceed(await lab.mesh(["connect", "east", "west"]));
  truth = await openPolicyLab(await lab.open());
}, UP_LIMIT_MS);

afterAll(async () => {
  await truth.close();
  await lab.remove();
}, LIMIT_MS);

test(
  "without policies every packet comes through",
  async () => {
    await applyPolicies(truth, { from: [], to: [] });
    expect(await compare([])).toMatchObject({ disagreements: [] });
  },
  LIMIT_MS,
);

test(
  `${SETS * POLICIES_A_SET} policies: documents, maps and packets agree`,
  async () => {
    const random = createRandom(SEED);
    const totals = { policies: 0, packets: 0, allowed: 0 };
    const disagreements: string[] = [];
    let before: Applied[] = [];
    for (let n = 0; n < SETS; n++) {
      const set = generateSet(random, { prefix: `set${n}`, size: POLICIES_A_SET });
      await applyPolicies(truth, { from: before, to: set });
      before = set;
      const compared = await compare(set);
      totals.policies += set.length;
      totals.packets += compared.packets;
      totals.allowed += compared.allowed;
      disagreements.push(...compared.disagreements.map((text) => `set ${n}: ${text}`));
    }
    await applyPolicies(truth, { from: before, to: [] });
    process.stderr.write(
      `truth table (seed ${SEED}): ${totals.policies} policies in ${SETS} sets, ` +
        `${totals.packets} packets sent, ${totals.allowed} allowed, ` +
        `${disagreements.length} disagreements\n`,
    );
    expect(disagreements).toEqual([]);
  },
  LIMIT_MS,
);

test(
  "with everything killed verdicts stay, and agents that start again open and close nothing",
  async () => {
    const { host } = truth;
    const set = generateSet(createRandom(SEED + 1), { prefix: "kept", size: POLICIES_A_SET });
    await applyPolicies(truth, { from: [], to: set });
    expect(await compare(set)).toMatchObject({ disagreements: [] });

    await killDaemons(host, () => true);
    expect(await compare(set)).toMatchObject({ disagreements: [] });

    // East alone: what is known of west's pods stands in east's etcd.
    const east = labDaemons(host.plan, host.cgroupRoot).filter(({ name }) =>
      name.startsWith("east"),
    );
    const restarted = startDaemons(east, { clock: systemClock, signal: never }).then(() =>
      untilEnforced(truth, set, ["east"]),
    );
    expect(await compareDuring(set, restarted)).toEqual([]);

    const repaired = lab.up().then((result) => {
      mustSucceed(result);
      return untilEnforced(truth, set, ["east", "west"]);
    });
    expect(await compareDuring(set, repaired)).toEqual([]);
    await applyPolicies(truth, { from: set, to: [] });
  },
  LIMIT_MS,
);

/** Compares until the work is done and once afterwards; returns what did not agree at any time. */
async function compareDuring(
  documents: readonly Applied[],
  work: Promise<unknown>,
): Promise<string[]> {
  const state = { done: false };
  const end = work.finally(() => (state.done = true));
  end.catch(() => {}); // Thrown below, behind the comparison that is under way.
  const found: string[] = [];
  while (!state.done) found.push(...(await compare(documents)).disagreements);
  await end;
  return [...found, ...(await compare(documents)).disagreements];
}

async function compare(
  documents: readonly Applied[],
): Promise<{ packets: number; allowed: number; disagreements: string[] }> {
  const packets = [...matrixOf(truth.world)].filter(canBeProbed);
  const wanted = packets.map((packet) => evaluate(truth.world, documents, packet));
  const maps = readMapVerdicts(truth, packets);
  const came = await probeSurely(
    packets,
    wanted.map(({ allowed }) => allowed),
  );
  const disagreements = packets.flatMap((packet: Packet, i) => {
    const verdict = wanted[i];
    if (verdict?.allowed === maps[i] && verdict?.allowed === came[i]) return [];
    const said = `documents ${word(verdict?.allowed)}, maps ${word(maps[i])}, ${
      came[i] === true ? "came through" : "never came"
    }`;
    return [`${packetName(packet)}: ${said} (${verdict?.why})`];
  });
  const allowed = wanted.filter((verdict) => verdict.allowed).length;
  return { packets: packets.length, allowed, disagreements };
}

/** Asks again until the machine was fast enough for silence to mean something. */
async function probeSurely(
  packets: readonly Packet[],
  allowed: readonly boolean[],
): Promise<boolean[]> {
  const expected = allowed.filter(Boolean).length;
  for (let limitMs = PROBE_LIMIT_MS; ; limitMs *= 2) {
    const came = await truth.probe(packets, limitMs);
    const late = packets.flatMap((packet, i) =>
      allowed[i] === true && came[i] === false ? [{ packet, i }] : [],
    );
    if (late.length > expected * LATE_SHARE_MAX && limitMs < PROBE_LIMIT_MAX_MS) continue;
    const again = await truth.probe(
      late.map(({ packet }) => packet),
      AGAIN_LIMIT_MS,
    );
    for (const [n, { i }] of late.entries()) came[i] = again[n] === true;
    return came;
  }
}

function word(allowed: boolean | undefined): string {
  return allowed === true ? "allow" : "deny";
}
