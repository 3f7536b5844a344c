// What a drill would touch, in words: for `mesh drill plan`. Pure.
import { describeFault, type DrillDefinition } from "./definition.ts";
import { placeName } from "./drill-mesh.ts";
import type { Injection } from "./faults.ts";
import type { CanaryPlan, DrillPlan, ServicePlan, SourcePlan } from "./plan.ts";

/** Established flows of a service towards the faulted cluster, as nodes count them now. */
export type FlowCounts = ReadonlyMap<string, number>;

export function describePlan(
  definition: DrillDefinition,
  plan: DrillPlan,
  flows: FlowCounts,
): string {
  const { effects } = plan;
  const judged = plan.services.filter(({ inScope }) => inScope);
  const controls = plan.services.filter(({ inScope }) => !inScope);
  const seconds = definition.durationMs / 1_000;
  return [
    `${definition.name}: ${definition.fault.kind}, ${describeFault(definition)}, for ${seconds} s`,
    ...effects.injections.map(injectionLine),
    ...effects.breaks.map(({ cluster, fault }) => `  apiserver of ${cluster}: ${fault}`),
    "judged:",
    ...judged.flatMap((service) => serviceLines(service, flows)),
    ...(judged.length === 0 ? ["  none: the fault would touch no service"] : []),
    ...(plan.notJudged.length === 0
      ? []
      : [`touched, too, and not judged: ${sample(plan.notJudged)}`]),
    `must not be touched: ${controls.length === 0 ? "no service" : sample(names(controls))}`,
    "canaries:",
    ...plan.canaries.map(canaryLine),
    ...plan.notes.map((note) => `! ${note}`),
    ...plan.capacity.map((problem) => `CAPACITY_CHECK_FAILED: ${problem}`),
    "",
  ].join("\n");
}

function injectionLine({ place, faults }: Injection): string {
  const peers = faults.map(({ peer }) => (peer === "" ? "every other node" : peer)).join(", ");
  return `  ${placeName(place)}: packets to and from ${peers}`;
}

function canaryLine({ place, orders }: CanaryPlan): string {
  const targets = orders.map(({ service, target }) => `${service} (${target})`).join(", ");
  return `  ${placeName(place)}: ${targets}, ${orders[0]?.perSecond ?? 0} a second each`;
}

function names(services: readonly ServicePlan[]): string[] {
  return services.map(({ service }) => service);
}

function serviceLines({ service, sources }: ServicePlan, flows: FlowCounts): string[] {
  const open = flows.get(service);
  const count = open === undefined ? "" : `, ${open} established flows`;
  return [`  ${service}${count}`, ...sources.map((source) => `    ${sourceLine(source)}`)];
}

function sourceLine({ cluster, backends, touched, before, after }: SourcePlan): string {
  const now = shares(before.shares);
  const then = after.shares.size === 0 ? "nobody" : shares(after.shares);
  const left = `${after.backends} of ${backends} backends left`;
  return `clients in ${cluster}: ${touched} backends touched, ${left}; now ${now}, then ${then}`;
}

function shares(of: ReadonlyMap<string, number>): string {
  if (of.size === 0) return "nobody";
  return [...of].map(([name, share]) => `${name} ${Math.round(share * 100)} %`).join(" + ");
}

function sample(names: readonly string[]): string {
  const more = names.length > 10 ? ` and ${names.length - 10} more` : "";
  return names.slice(0, 10).join(", ") + more;
}
