// Carrying out a plan so that it either completes or leaves every cluster as it was: each step is
// preceded by remembering what it may change, and any failure puts all of it back, last first.
import { throwIfAborted } from "../core/clock.ts";
import { isMeshError, MeshError, messageFromError } from "../core/errors.ts";
import { generatePrivateKey, LEAF_KEY_BITS } from "../../pki/private-key.ts";
import { createSigningRequest } from "../../pki/signing-request.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import type { ClusterFacts } from "./cluster-facts.ts";
import { describeStep, type ConnectStep } from "./plan.ts";

/** A cluster that is being connected: the way in, and what was read through it. */
export interface Member {
  readonly access: ClusterAccess;
  readonly facts: ClusterFacts;
}

/** Undoes, in the order in which they were remembered. */
export interface UndoLog {
  readonly remember: (undo: () => Promise<void>) => void;
  /** Runs all undos, last first, once; throws `data_loss` naming what could not be put back. */
  rollBack(): Promise<void>;
}

export function createUndoLog(): UndoLog {
  const undos: (() => Promise<void>)[] = [];
  return {
    remember: (undo) => {
      undos.push(undo);
    },
    rollBack: async () => {
      const failures: unknown[] = [];
      for (const undo of undos.splice(0).reverse()) {
        try {
          await undo();
        } catch (error) {
          failures.push(error); // The others must still be put back.
        }
      }
      if (failures.length === 0) return;
      throw new MeshError(
        "data_loss",
        `Cannot put everything back as it was: ${failures.map(messageFromError).join("; ")}`,
        { hint: "run the same command again: it repairs what is missing or broken" },
      );
    },
  };
}

/** Carries out the steps. On failure or abort it only throws: `runUndoable` rolls back. */
export async function applySteps(
  steps: readonly ConnectStep[],
  options: {
    members: readonly Member[];
    undo: UndoLog;
    onStep: (step: ConnectStep) => void;
    signal: AbortSignal;
  },
): Promise<void> {
  for (const step of steps) {
    throwIfAborted(options.signal);
    options.onStep(step);
    try {
      await applyStep(step, options);
    } catch (cause) {
      if (isMeshError(cause, "aborted")) throw cause;
      const code = isMeshError(cause) ? cause.code : "internal";
      throw new MeshError(code, `Cannot carry out "${describeStep(step)}"`, { cause });
    }
  }
  throwIfAborted(options.signal);
}

/**
 * Runs `work`; if it fails, rolls back and rethrows with a sentence about it. A failure of the
 * rollback itself is the greater news and comes first.
 */
export async function runUndoable<T>(work: (undo: UndoLog) => Promise<T>): Promise<T> {
  const undo = createUndoLog();
  try {
    return await work(undo);
  } catch (error) {
    try {
      await undo.rollBack();
    } catch (rollbackError) {
      throw new MeshError("data_loss", `${messageFromError(rollbackError)}; it began with`, {
        cause: error,
      });
    }
    throw error;
  }
}

async function applyStep(
  step: ConnectStep,
  options: { members: readonly Member[]; undo: UndoLog },
): Promise<void> {
  const at = findMember(options.members, step.at);
  switch (step.kind) {
    case "admit-reader":
      options.undo.remember(await at.access.rememberPeer(step.reader));
      return at.access.admitReader(step.reader);
    case "install-peer":
      options.undo.remember(await at.access.rememberPeer(step.peer));
      return installPeer(at, findMember(options.members, step.peer));
  }
}

/** The private key is made for `at` and goes nowhere else; the peer sees only the request. */
async function installPeer(at: Member, peer: Member): Promise<void> {
  const reader = at.facts.profile.name;
  const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
  const request = createSigningRequest(reader, privateKey);
  const certificate = await peer.access.signReader(reader, request);
  await at.access.installPeer({
    name: peer.facts.profile.name,
    endpoints: peer.facts.profile.etcdEndpoints,
    bundle: peer.facts.bundle,
    client: { certificate, privateKey },
  });
}

function findMember(members: readonly Member[], name: string): Member {
  const member = members.find(({ facts }) => facts.profile.name === name);
  if (member !== undefined) return member;
  throw new MeshError("internal", `Cannot find cluster "${name}" among those being connected`);
}
