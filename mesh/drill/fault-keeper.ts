// A drill's fault from its beginning to its end: asked of every node concerned, renewed while the
// drill wants it, lifted at once when it does not. Whoever dies, its TTL ends it.
import type { Clock } from "../core/clock.ts";
import { messageFromError } from "../core/errors.ts";
import { askQuietly } from "./ask-quietly.ts";
import type { DrillDefinition } from "./definition.ts";
import { APISERVER, placeName, type DrillMesh, type Place } from "./drill-mesh.ts";
import type { FaultEffects, Injection } from "./faults.ts";
import type { Stopper } from "./stopper.ts";

/** Long enough for a few renewals to be lost, short enough to be over soon. */
export const FAULT_TTL_MS = 5_000;
const RENEW_MS = 1_000;
/** Daemons are back by themselves a little after they would be asked back. */
const BREAK_SPARE_MS = 2_000;
const DRAIN_GRACE_MS = 30_000;

export interface FaultKeeperOptions {
  readonly mesh: DrillMesh;
  readonly drill: string;
  readonly definition: DrillDefinition;
  readonly effects: FaultEffects;
  readonly clock: Clock;
}

export interface FaultKeeper {
  /** Throws when anybody refuses or does not answer; then some may have begun: lift. */
  inject(signal: AbortSignal): Promise<void>;
  /** Renews until the signal aborts; stops the run if a node cannot be renewed any more. */
  keep(stopper: Stopper, signal: AbortSignal): Promise<void>;
  /**
   * Ends it everywhere. Returns the places that did not answer: there it ends by its own TTL, for
   * which this has waited.
   */
  lift(signal: AbortSignal): Promise<readonly Place[]>;
}

export function createFaultKeeper(options: FaultKeeperOptions): FaultKeeper {
  const { mesh, drill, definition, effects, clock } = options;
  const { fault, scope, durationMs } = definition;
  const renewedAtMs = new Map<string, number>();

  const injectAt = async ({ place, faults }: Injection, signal: AbortSignal): Promise<void> => {
    const askedAtMs = clock.monotonicMs();
    await mesh.ask(place, { ask: "inject", drill, faults, ttlMs: FAULT_TTL_MS }, signal);
    renewedAtMs.set(placeName(place), askedAtMs);
  };

  async function inject(signal: AbortSignal): Promise<void> {
    await Promise.all(effects.injections.map((injection) => injectAt(injection, signal)));
    for (const { cluster, fault: daemon } of effects.breaks) {
      const ttlMs = durationMs + BREAK_SPARE_MS;
      const place = { cluster, node: APISERVER };
      const question = { ask: "break", drill, fault: daemon, ttlMs } as const;
      await mesh.ask(place, question, signal);
    }
    if (fault.kind === "drain") {
      const { cluster, percent } = fault;
      const expiresAtMs = clock.nowMs() + durationMs + DRAIN_GRACE_MS;
      const { services } = scope;
      const reason = `drill ${drill}`;
      await mesh.drain({ id: drill, cluster, percent, services, expiresAtMs, reason }, signal);
    }
  }

  async function keep(stopper: Stopper, signal: AbortSignal): Promise<void> {
    for (;;) {
      await clock.sleep(RENEW_MS, signal);
      await Promise.all(
        effects.injections.map(async (injection) => {
          const name = placeName(injection.place);
          const error = await injectAt(injection, signal).then(
            () => undefined,
            (reason: unknown) => reason,
          );
          if (error === undefined || signal.aborted) return;
          const silentMs = clock.monotonicMs() - (renewedAtMs.get(name) ?? 0);
          if (silentMs < FAULT_TTL_MS) return;
          const reason = `${name} cannot be asked any more (${messageFromError(error)})`;
          stopper.stop({ verdict: "INTERRUPTED", reason: `${reason}: its fault ended by itself` });
        }),
      );
    }
  }

  async function lift(signal: AbortSignal): Promise<readonly Place[]> {
    const injected = effects.injections.map(({ place }) => place);
    const broken = effects.breaks.map(({ cluster }) => ({ cluster, node: APISERVER }));
    const ask = async (place: Place): Promise<Place[]> => {
      const answer = await askQuietly(mesh, place, { ask: "lift", drill }, signal);
      return answer === undefined ? [place] : [];
    };
    if (fault.kind === "drain") await mesh.undrain(fault.cluster, drill, signal);
    const silent = (await Promise.all([...injected, ...broken].map(ask))).flat();
    if (silent.some(({ node }) => node !== APISERVER)) await clock.sleep(FAULT_TTL_MS, signal);
    return silent;
  }

  return { inject, keep, lift };
}
