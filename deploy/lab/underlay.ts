// Cuts members of a lab off the underlay, and heals it: routing rules in the router's namespace
// that drop packets without a word, as a dead link between sites does. No process notices, no reset
// and no ICMP error is sent. The rules are the only record of what is cut: a crash loses nothing.
import { commandOutput, inNamespace } from "../../mesh/core/child-process.ts";
import type { AddressFamily } from "../../mesh/core/address.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { namespacePath } from "./namespaces.ts";
import { findCluster, findNode, underlayPrefix, type LabPlan } from "./plan.ts";

/** Seen from what is cut off: what it sends, what it is sent. */
export type CutDirection = "both" | "outbound" | "inbound";

export interface UnderlayCut {
  /** CLUSTER, whose members still reach each other, or CLUSTER/NODE. */
  readonly where: string;
  readonly direction: CutDirection;
}

/** Rules of ours have these preferences: what goes on, and behind it what is dropped. */
const KEEP_PREFERENCE = 1000;
const DROP_PREFERENCE = 1001;
const FAMILIES: readonly AddressFamily[] = [4, 6];

/** Cutting what is cut already in that direction is success. */
export async function cutUnderlay(
  plan: LabPlan,
  cut: UnderlayCut,
  signal: AbortSignal,
): Promise<void> {
  for (const family of FAMILIES) {
    const present = await listRules(plan, family, signal);
    const missing = cutRules(plan, cut, family).filter((rule) => !present.includes(rule));
    await changeRules(plan, { verb: "add", family, rules: missing }, signal);
  }
}

/** Removes every cut of the lab. */
export async function healUnderlay(plan: LabPlan, signal: AbortSignal): Promise<void> {
  for (const family of FAMILIES) {
    const rules = await listRules(plan, family, signal);
    await changeRules(plan, { verb: "delete", family, rules }, signal);
  }
}

/** As `ip rule` takes them. Throws `not_found` for what the lab has not. */
export function cutRules(plan: LabPlan, cut: UnderlayCut, family: AddressFamily): string[] {
  const [clusterName = "", node, ...rest] = cut.where.split("/");
  if (rest.length > 0) {
    throw new MeshError(
      "invalid_argument",
      `Cannot cut "${cut.where}": want CLUSTER or CLUSTER/NODE`,
    );
  }
  const cluster = findCluster(plan, clusterName);
  const prefix =
    node === undefined
      ? underlayPrefix(cluster.id, family)
      : hostPrefix(findNode(cluster, node), family);
  return [
    ...(node === undefined
      ? [`pref ${KEEP_PREFERENCE} from ${prefix} to ${prefix} lookup main`]
      : []),
    ...(cut.direction === "inbound" ? [] : [`pref ${DROP_PREFERENCE} from ${prefix} blackhole`]),
    ...(cut.direction === "outbound"
      ? []
      : [`pref ${DROP_PREFERENCE} from all to ${prefix} blackhole`]),
  ];
}

function hostPrefix(node: ReturnType<typeof findNode>, family: AddressFamily): string {
  const link = node.links.find((candidate) => candidate.family === family);
  if (link === undefined) throw new RangeError(`${node.name} has no IPv${family} link`);
  return link.address;
}

/** Our rules, in the words of `cutRules`. */
async function listRules(
  plan: LabPlan,
  family: AddressFamily,
  signal: AbortSignal,
): Promise<string[]> {
  const text = await runRules(plan, { family, words: ["rule", "show"] }, signal);
  return text.split("\n").flatMap((line) => {
    const [, preference = "", rest = ""] = /^(\d+):\s+(.*?)\s*$/.exec(line) ?? [];
    const ours = [KEEP_PREFERENCE, DROP_PREFERENCE].includes(Number(preference));
    return ours ? [`pref ${preference} ${rest}`] : [];
  });
}

async function changeRules(
  plan: LabPlan,
  change: {
    readonly verb: "add" | "delete";
    readonly family: AddressFamily;
    readonly rules: readonly string[];
  },
  signal: AbortSignal,
): Promise<void> {
  const { verb, family, rules } = change;
  if (rules.length === 0) return;
  const input = rules.map((rule) => `rule ${verb} ${rule}\n`).join("");
  await runRules(plan, { family, words: ["-batch", "-"], input }, signal);
}

async function runRules(
  plan: LabPlan,
  run: {
    readonly family: AddressFamily;
    readonly words: readonly string[];
    readonly input?: string;
  },
  signal: AbortSignal,
): Promise<string> {
  const { family, words, input } = run;
  const argv = inNamespace(namespacePath(plan.routerNamespace), ["ip", `-${family}`, ...words]);
  return commandOutput({ argv, ...(input === undefined ? {} : { input }) }, signal);
}
