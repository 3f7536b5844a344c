// What the commands about drains share: the clusters that this machine reaches, each with its way
// in, and the cluster that is meant among them.
import type { DrainMessage } from "../api/apiserver-client.ts";
import { openContext, type ContextCluster } from "../connect/context-access.ts";
import { isKubernetesContext, listContexts, type MeshContext } from "../contexts/contexts.ts";
import { isMeshError, messageFromError } from "../core/errors.ts";
import { drainIsInForce } from "../kvstore/records/drain.ts";
import type { CommandContext } from "./command.ts";
import { commonNamespace, enterNamespace } from "./enter-namespace.ts";
import { findContext } from "./select-context.ts";

export const MEMBER_FLAGS = {
  context: { type: "string", multiple: true },
  kubeconfig: { type: "string" },
  namespace: { type: "string" },
  output: { type: "string" },
} as const;

export const MEMBER_HELP = `  --context      a cluster to ask and, at need, to tell besides; may be given again (default: all
                 contexts of this machine)
  --kubeconfig   file that names contexts besides this machine's own ($KUBECONFIG, ~/.kube/config)
  --namespace    where Tombolo lives in Kubernetes clusters (tombolo-system)
  --output       table (default) or json
`;

export interface Member extends ContextCluster {
  readonly context: string;
  readonly cluster: string;
  readonly clusterId: number;
}

export interface Members {
  readonly reached: readonly Member[];
  /** Contexts whose cluster cannot be read, and why. */
  readonly unreached: readonly { readonly context: string; readonly problem: string }[];
}

export interface MemberWish {
  readonly context?: readonly string[] | undefined;
  readonly kubeconfig?: string | undefined;
  readonly namespace?: string | undefined;
}

/** A number is an exit status: all is done inside the network namespace that the contexts name. */
export async function openMembers(
  wish: MemberWish,
  options: { readonly context: CommandContext; readonly named?: string | undefined },
): Promise<Members | number> {
  const { context, named } = options;
  const names = new Set(wish.context ?? (await listContexts(context.home)));
  const unreached: { context: string; problem: string }[] = [];
  const places: MeshContext[] = [];
  for (const name of new Set([...(named === undefined ? [] : [named]), ...names])) {
    try {
      places.push(await findContext({ ...wish, name }, context));
    } catch (error) {
      // A cluster may be meant by its own name, and have no context of it.
      if (name === named && isMeshError(error, "not_found") && !names.has(name)) continue;
      unreached.push({ context: name, problem: messageFromError(error) });
    }
  }
  const entered = await enterNamespace(
    commonNamespace(places.filter((place) => isKubernetesContext(place))),
    context,
  );
  if (entered !== undefined) return entered;
  const reached: Member[] = [];
  for (const place of places) {
    const cluster = openContext(place, context);
    try {
      const { name, id } = await cluster.access.readProfile();
      reached.push({ ...cluster, context: place.name, cluster: name, clusterId: id });
    } catch (error) {
      if (isMeshError(error, "aborted")) throw error;
      unreached.push({ context: place.name, problem: messageFromError(error) });
    }
  }
  return { reached, unreached };
}

/** By its context's name first, then by its own. */
export function findMember(members: Members, name: string): Member | undefined {
  return (
    members.reached.find(({ context }) => context === name) ??
    members.reached.find(({ cluster }) => cluster === name)
  );
}

/** What a cluster knows of drains: all that its apiserver was told, or else what it has ordered. */
export async function readDrains(member: Member, context: CommandContext): Promise<DrainMessage[]> {
  try {
    const { drains } = await member.status.readStatus(context.signal);
    return [...drains];
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
  }
  const nowMs = context.clock.nowMs();
  const ordered = await member.drains.read(context.signal);
  return ordered
    .filter((drain) => drainIsInForce(drain, nowMs))
    .map(({ cluster, percent, services, expiresAtMs, graceSeconds, reason }) => ({
      cluster,
      percent,
      services,
      secondsLeft: expiresAtMs === 0 ? 0 : (expiresAtMs - nowMs) / 1_000,
      graceSeconds,
      reason,
      toldBy: member.cluster,
    }));
}
