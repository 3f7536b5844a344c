// The real mesh behind a drill: agents and apiservers asked over the NATS of their clusters, one
// connection for each context, through the API server where the cluster is one of Kubernetes. A
// cluster without a context of its own is asked through the first connection, which its apiserver
// answers only if it accepts drills from peers.
import { openContext } from "../connect/context-access.ts";
import { openDirectoryOperations } from "../connect/operations-access.ts";
import { openPodOperations } from "../connect/pod-operations.ts";
import { isKubernetesContext, listContexts, type MeshContext } from "../contexts/contexts.ts";
import { isMeshError, MeshError, messageFromError } from "../core/errors.ts";
import { APISERVER, type DrillMesh, type Place } from "../drill/drill-mesh.ts";
import { askQuestion } from "../operations/ask.ts";
import type { OperationsConnection } from "../operations/connection.ts";
import type { AnswerTo, Question } from "../operations/questions.ts";
import type { CommandContext } from "./command.ts";
import { runDrillCheck } from "./drill-checks.ts";
import { orderDrain, takeBackDrain, type DrainPlace } from "./drill-drain.ts";
import { commonNamespace, enterNamespace } from "./enter-namespace.ts";
import { CONTEXT_FLAGS, CONTEXT_HELP, findContext } from "./select-context.ts";

export const MESH_FLAGS = {
  ...CONTEXT_FLAGS,
  context: { type: "string", multiple: true },
} as const;

/** Part of the commands' usage. */
export const MESH_HELP = `  --context      a context, again for more; all of this machine's own by default
${CONTEXT_HELP}`;

export interface DrillMeshWish {
  readonly context?: readonly string[] | undefined;
  readonly kubeconfig?: string | undefined;
  readonly namespace?: string | undefined;
}

export interface OpenDrillMesh {
  readonly mesh: DrillMesh;
  /** The cluster of the first context, and its connection: where reports are kept. */
  readonly cluster: string;
  readonly connection: OperationsConnection;
}

/** An agent answers within milliseconds; one that does not is out of reach. */
const ASK_TIMEOUT_MS = 4_000;
const CONNECT_LIMIT_MS = 10_000;
/** On top of it a program has to start in a pod. */
const POD_CONNECT_LIMIT_MS = 40_000;

/**
 * Runs `work` and returns its exit status, or that of who ran it in the contexts' namespace. The
 * connections outlive Ctrl-C: what a drill has begun is undone through them.
 */
export async function withDrillMesh(
  wish: DrillMeshWish,
  context: CommandContext,
  work: (open: OpenDrillMesh) => Promise<number>,
): Promise<number> {
  const contexts = await findContexts(wish, context);
  const entered = await enterNamespace(commonNamespace(contexts), context);
  if (entered !== undefined) return entered;
  const opened = await Promise.all(contexts.map((place) => open(place, context)));
  const end = new AbortController();
  const running = opened.map(({ connection }) => connection.run(end.signal));
  try {
    await Promise.all(opened.map((one) => awaitConnection(one, context)));
    const [first] = opened;
    if (first === undefined) throw new Error("Unreachable: there is at least one context");
    const mesh = await createDrillMesh(opened, context);
    return await work({ mesh, cluster: first.cluster, connection: first.connection });
  } finally {
    end.abort("the work has ended");
    await Promise.all(running);
  }
}

interface Opened {
  readonly cluster: string;
  readonly drainPlace: DrainPlace;
  readonly connection: OperationsConnection;
  /** How long connecting may take. */
  readonly limitMs: number;
}

async function open(place: MeshContext, context: CommandContext): Promise<Opened> {
  const { access, drains } = openContext(place, context);
  const readProfile = (): ReturnType<typeof access.readProfile> => access.readProfile();
  const drainPlace = { drains, readProfile, clock: context.clock };
  if (isKubernetesContext(place)) {
    const { name: cluster } = await readProfile();
    const connection = openPodOperations(place, context);
    return { cluster, drainPlace, connection, limitMs: POD_CONNECT_LIMIT_MS };
  }
  const found = await openDirectoryOperations(place.directory, context);
  return { ...found, drainPlace, limitMs: CONNECT_LIMIT_MS };
}

async function createDrillMesh(
  opened: readonly Opened[],
  context: CommandContext,
): Promise<DrillMesh> {
  const own = new Map(opened.map((one) => [one.cluster, one]));
  const ask = <Asked extends Question>(
    place: Place,
    question: Asked,
    signal: AbortSignal,
  ): Promise<AnswerTo<Asked>> => {
    const through = own.get(place.cluster) ?? opened[0];
    if (through === undefined) throw new Error("Unreachable: there is at least one context");
    const request = { to: place, question, timeoutMs: ASK_TIMEOUT_MS };
    return askQuestion(through.connection, request, signal);
  };
  const { signal } = context;
  const peers = await Promise.all(
    opened.map(({ cluster }) => ask({ cluster, node: APISERVER }, { ask: "hello" }, signal)),
  );
  const others = new Set(peers.flatMap((hello) => hello.peers).filter((name) => !own.has(name)));
  const accepting = await Promise.all(
    [...others].map(async (cluster) => {
      const place = { cluster, node: APISERVER };
      const answer = await ask(place, { ask: "hello" }, signal).catch((error: unknown) => {
        if (isMeshError(error, "aborted")) throw error;
        context.stderr.write(`drill: ${cluster} takes no part: ${messageFromError(error)}\n`);
        return undefined;
      });
      return answer === undefined ? [] : [cluster];
    }),
  );
  const { clock } = context;
  const drainPlace = (cluster: string): DrainPlace => {
    const place = own.get(cluster)?.drainPlace;
    if (place !== undefined) return place;
    throw new MeshError("unsupported", `Cannot drain "${cluster}": want a context of its own`);
  };
  return {
    clusters: [...own.keys(), ...accepting.flat()].sort(),
    ask,
    drain: (order, inner) => orderDrain(drainPlace(order.cluster), order, inner),
    undrain: (cluster, id, inner) => takeBackDrain(drainPlace(cluster), id, inner),
    check: (probe, timeoutMs, inner) => runDrillCheck(probe, { timeoutMs, clock, signal: inner }),
  };
}

/** Those that are named, or all of this machine's own. */
async function findContexts(
  wish: DrillMeshWish,
  context: CommandContext,
): Promise<readonly MeshContext[]> {
  const names = [...new Set(wish.context ?? (await listContexts(context.home)))];
  if (names.length === 0) {
    throw new MeshError("not_found", "Cannot drill: there is no context yet", {
      hint: "--context names those of a kubeconfig; `mesh lab up` makes a lab with two clusters",
    });
  }
  return Promise.all(names.map((name) => findContext({ ...wish, name }, context)));
}

async function awaitConnection(
  { cluster, connection, limitMs }: Opened,
  { clock, signal }: CommandContext,
): Promise<void> {
  const limit = new AbortController();
  const both = AbortSignal.any([signal, limit.signal]);
  const timer = new AbortController();
  const late = clock.sleep(limitMs, timer.signal).then(
    () => limit.abort("too late"),
    () => {}, // It is connected.
  );
  try {
    await connection.ready(both);
  } catch (cause) {
    if (signal.aborted) throw cause;
    const { lastError } = connection.status();
    const reason = lastError === "" ? `no answer in ${limitMs / 1_000} s` : lastError;
    throw new MeshError("unavailable", `Cannot reach the NATS of "${cluster}": ${reason}`, {
      hint: "drills need the operations plane: docs/operations-plane.md",
    });
  } finally {
    timer.abort("connected");
    await late;
  }
}
