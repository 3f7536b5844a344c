// One pass over all sockets of the node: lists them, asks which ones are meant, ends those.
import { setImmediate } from "node:timers/promises";
import { messageFromError } from "../../mesh/core/errors.ts";
import type { FlowRows } from "./flow-rows.ts";
import {
  flowOfSocket,
  judgeFlow,
  type FlowFacts,
  type FlowTarget,
  type KnownBackends,
} from "./flow-target.ts";
import type { HeldNamespace, Namespaces } from "./namespaces.ts";
import type { SocketListing } from "./sock-diag.ts";

export interface PassParts {
  readonly namespaces: Pick<Namespaces, "held">;
  readonly rows: FlowRows;
  /** What the datapath's maps hold now. */
  readonly known: () => KnownBackends;
}

export interface Order<Reason> {
  readonly target: FlowTarget;
  readonly reason: Reason;
}

export interface Ended<Reason> extends FlowFacts {
  /** The first that meant it. */
  readonly order: Order<Reason>;
}

export interface PassResult<Reason> {
  readonly ended: readonly Ended<Reason>[];
  /** Listings and endings that the kernel refused. */
  readonly failures: number;
  /** A sentence a namespace and refusal. */
  readonly problems: readonly string[];
}

const LISTINGS: readonly SocketListing[] = [
  { family: 4, protocol: "TCP" },
  { family: 6, protocol: "TCP" },
  { family: 4, protocol: "UDP" },
  { family: 6, protocol: "UDP" },
];

/** Never rejects: what fails is in the result, and the other namespaces are done all the same. */
export async function runPass<Reason>(
  orders: readonly Order<Reason>[],
  parts: PassParts,
): Promise<PassResult<Reason>> {
  const ended: Ended<Reason>[] = [];
  const problems = new Problems(parts.namespaces);
  let lost: boolean | undefined;
  for (const namespace of parts.namespaces.held()) {
    for (const listing of LISTINGS) {
      await setImmediate(); // A listing takes milliseconds; others have their turn in between.
      const doomed: Ended<Reason>[] = [];
      try {
        for (const facts of listFacts(namespace, listing, parts)) {
          const verdict = judge(orders, facts, parts.known());
          if (verdict === undefined) continue;
          if (verdict.ifLost) lost ??= await parts.rows.mayHaveLost();
          if (!verdict.ifLost || lost) doomed.push({ ...facts, order: verdict.order });
        }
        ended.push(...endSockets(namespace, doomed, problems));
      } catch (error) {
        problems.note(namespace, [error]);
      }
    }
  }
  return { ended, failures: problems.count, problems: problems.sentences };
}

/** Every socket of the node that has a flow. Rejects when one namespace cannot be listed. */
export async function* listFlows(parts: PassParts): AsyncIterable<FlowFacts> {
  for (const namespace of parts.namespaces.held()) {
    for (const listing of LISTINGS) {
      await setImmediate();
      if (!parts.namespaces.held().includes(namespace)) break;
      for (const facts of listFacts(namespace, listing, parts)) {
        if (facts.flow !== undefined) yield facts;
      }
    }
  }
}

function listFacts(
  namespace: HeldNamespace,
  listing: SocketListing,
  { rows }: PassParts,
): FlowFacts[] {
  return namespace.sockets
    .list(listing)
    .map((socket) => ({ socket, flow: flowOfSocket(socket, rows.of(socket.cookie)) }));
}

function judge<Reason>(
  orders: readonly Order<Reason>[],
  facts: FlowFacts,
  known: KnownBackends,
): { readonly order: Order<Reason>; readonly ifLost: boolean } | undefined {
  let ifLost: { readonly order: Order<Reason>; readonly ifLost: true } | undefined;
  for (const order of orders) {
    const verdict = judgeFlow(order.target, facts, known);
    if (verdict === "reset") return { order, ifLost: false };
    if (verdict === "reset-if-lost") ifLost ??= { order, ifLost: true };
  }
  return ifLost;
}

function endSockets<Reason>(
  namespace: HeldNamespace,
  doomed: readonly Ended<Reason>[],
  problems: Problems,
): Ended<Reason>[] {
  if (doomed.length === 0) return [];
  const { destroyed, errors } = namespace.sockets.destroy(doomed.map(({ socket }) => socket));
  problems.note(namespace, errors);
  const done = new Set(destroyed);
  return doomed.filter(({ socket }) => done.has(socket));
}

class Problems {
  count = 0;
  readonly sentences: string[] = [];
  readonly #namespaces: Pick<Namespaces, "held">;

  constructor(namespaces: Pick<Namespaces, "held">) {
    this.#namespaces = namespaces;
  }

  /** Of one namespace and one call; the first error stands for the others. */
  note(namespace: HeldNamespace, errors: readonly unknown[]): void {
    // A namespace that was closed meanwhile has no flows any more.
    if (errors.length === 0 || !this.#namespaces.held().includes(namespace)) return;
    const { pod, path } = namespace;
    const where = path === "" ? "the node's own namespace" : `pod "${pod}"`;
    this.count += errors.length;
    this.sentences.push(`${messageFromError(errors[0])} (in ${where})`);
  }
}
