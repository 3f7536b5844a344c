// The drains that this cluster knows of, whoever ordered them, and what it says about a drain that
// is still to be ordered: both from memory.
import type { LocalService } from "../../mesh/core/service.ts";
import {
  checkCapacity,
  type CapacityAnswer,
  type CapacityQuestion,
} from "../../mesh/drain/capacity.ts";
import {
  drainIsInForce,
  parseOwnDrain,
  type DrainRecord,
} from "../../mesh/kvstore/records/drain.ts";
import { parseService } from "../../mesh/kvstore/records/service.ts";
import type { Mirrors } from "../mirror/mirrors.ts";

/** As status tells it. */
export interface ToldDrain {
  readonly cluster: string;
  readonly percent: number;
  readonly services: readonly string[];
  readonly secondsLeft: number;
  readonly graceSeconds: number;
  readonly reason: string;
  /** The cluster that says so. */
  readonly toldBy: string;
}

export interface DrainKnowledge {
  /** Our own cluster. */
  readonly cluster: string;
  readonly drains: { current(): readonly DrainRecord[] };
  readonly mirrors: Pick<Mirrors, "records">;
  readonly exporter: { localServices(): Iterable<LocalService> };
  readonly clock: { nowMs(): number };
}

/** By cluster, those of whole clusters first. */
export function toldDrains({ cluster, drains, mirrors, clock }: DrainKnowledge): ToldDrain[] {
  const nowMs = clock.nowMs();
  const own = drains.current().map((drain) => toldBy(cluster, drain, nowMs));
  const peers = [...mirrors.records("drains", parseOwnDrain)]
    .filter((drain) => drainIsInForce(drain, nowMs))
    .map((drain) => toldBy(drain.cluster, drain, nowMs));
  return [...own, ...peers].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

export function checkDrain(question: CapacityQuestion, knowledge: DrainKnowledge): CapacityAnswer {
  const { exporter, mirrors } = knowledge;
  const whole = toldDrains(knowledge).filter(
    ({ percent, services }) => percent === 100 && services.length === 0,
  );
  return checkCapacity(question, {
    own: exporter.localServices(),
    peers: mirrors.records("services", parseService),
    drained: new Set(whole.map(({ cluster }) => cluster)),
  });
}

function toldBy(teller: string, drain: DrainRecord, nowMs: number): ToldDrain {
  const { cluster, percent, services, expiresAtMs, graceSeconds, reason } = drain;
  const secondsLeft = expiresAtMs === 0 ? 0 : Math.max(0, expiresAtMs - nowMs) / 1_000;
  return { cluster, percent, services, secondsLeft, graceSeconds, reason, toldBy: teller };
}

function sortKey({ cluster, services, toldBy: teller }: ToldDrain): string {
  return [cluster, ...services, teller].join(" ");
}
