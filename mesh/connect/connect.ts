// Connecting clusters that this machine may operate, from facts to a verified connection:
//
//   lock ─► read facts ─► preflight ─► plan ─► apply ─► verify ─► done
//                            │                   └────────┴─ failure: roll back, all as before
//                            └─ refused: nothing was written
import type { Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import { applySteps, runUndoable, type Member } from "./apply.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { planConnect, type ConnectStep } from "./plan.ts";
import { hasErrors, preflight, type Finding } from "./preflight.ts";
import { readReaches } from "./reach.ts";
import { verifyConnected, type Expectation } from "./verify.ts";

/** Told to a person while it happens. */
export interface ConnectObserver {
  readonly onFindings: (findings: readonly Finding[]) => void;
  readonly onPlan: (steps: readonly ConnectStep[]) => void;
  readonly onStep: (step: ConnectStep) => void;
  readonly onProgress: (lines: readonly string[]) => void;
  readonly onRollback: () => void;
}

export interface ConnectResult {
  /** "refused": an error among the findings. "planned": a dry run. */
  readonly outcome: "refused" | "planned" | "connected";
  readonly clusters: readonly string[];
  readonly findings: readonly Finding[];
  /** Empty when everything was already as it should be, or when refused. */
  readonly steps: readonly ConnectStep[];
}

export interface ConnectOptions {
  readonly dryRun: boolean;
  readonly clock: Clock;
  readonly observer: ConnectObserver;
  readonly signal: AbortSignal;
  readonly verifyLimitMs?: number;
}

/** Resolves with the outcome; rejects when it failed and everything was put back. */
export async function connectClusters(
  accesses: readonly ClusterAccess[],
  options: ConnectOptions,
): Promise<ConnectResult> {
  if (options.dryRun) {
    return prepare(await readMembers(accesses, options.signal), options);
  }
  return withLocks(accesses, options.signal, async () => {
    const members = await readMembers(accesses, options.signal);
    const prepared = await prepare(members, options);
    if (prepared.outcome === "refused") return prepared;
    await applyAndVerify(members, { ...options, steps: prepared.steps });
    return { ...prepared, outcome: "connected" };
  });
}

async function prepare(
  members: readonly Member[],
  options: ConnectOptions,
): Promise<ConnectResult> {
  const facts = members.map((member) => member.facts);
  const clusters = facts.map(({ profile }) => profile.name);
  const findings = preflight(facts, await readReaches(members, options.signal));
  options.observer.onFindings(findings);
  if (hasErrors(findings)) return { outcome: "refused", clusters, findings, steps: [] };
  const steps = planConnect(facts, options.clock.nowMs());
  options.observer.onPlan(steps);
  return { outcome: "planned", clusters, findings, steps };
}

async function applyAndVerify(
  members: readonly Member[],
  options: ConnectOptions & { steps: readonly ConnectStep[] },
): Promise<void> {
  const { observer, clock, signal, verifyLimitMs } = options;
  await runUndoable(async (undo) => {
    try {
      await applySteps(options.steps, { members, undo, onStep: observer.onStep, signal });
      await verifyConnected(expectationsOf(members), {
        clock,
        onProgress: observer.onProgress,
        signal,
        ...(verifyLimitMs === undefined ? {} : { limitMs: verifyLimitMs }),
      });
    } catch (error) {
      observer.onRollback();
      throw error;
    }
  });
}

/** Runs `work` while no other command may change the connections of these clusters. */
export async function withLocks<T>(
  accesses: readonly ClusterAccess[],
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const unlocks: (() => Promise<void>)[] = [];
  try {
    for (const access of accesses) unlocks.push(await access.lock(signal));
    return await work();
  } finally {
    for (const unlock of unlocks) await unlock();
  }
}

async function readMembers(
  accesses: readonly ClusterAccess[],
  signal: AbortSignal,
): Promise<Member[]> {
  return Promise.all(
    accesses.map(async (access) => {
      try {
        return { access, facts: await access.readFacts(signal) };
      } catch (cause) {
        const code = cause instanceof MeshError ? cause.code : "internal";
        throw new MeshError(code, `Cannot read the facts of context "${access.context}"`, {
          cause,
        });
      }
    }),
  );
}

function expectationsOf(members: readonly Member[]): Expectation[] {
  return members.flatMap((reader) =>
    members
      .filter((peer) => peer !== reader)
      .map((peer) => ({
        reader: reader.facts.profile.name,
        peer: peer.facts.profile.name,
        status: reader.access,
      })),
  );
}
