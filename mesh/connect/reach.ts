// Whether each cluster's apiserver reaches every other cluster's etcd: asked where that apiserver
// runs, because what the operator's machine reaches says nothing about it.
import { isMeshError } from "../core/errors.ts";
import type { Member } from "./apply.ts";
import { reachableEndpoints } from "./gather-facts.ts";
import type { Reach } from "./preflight.ts";

/** What cannot be asked is left out: an older version there, or an apiserver that is silent. */
export async function readReaches(
  members: readonly Member[],
  signal: AbortSignal,
): Promise<readonly Reach[]> {
  const pairs = members.flatMap((reader) =>
    members.filter((peer) => peer !== reader).map((peer) => ({ reader, peer })),
  );
  const reaches = await Promise.all(
    pairs.map(({ reader, peer }) => readReach(reader, peer, signal)),
  );
  return reaches.filter((reach) => reach !== undefined);
}

async function readReach(
  reader: Member,
  peer: Member,
  signal: AbortSignal,
): Promise<Reach | undefined> {
  if (reader.facts.apiserverProblem !== undefined) return undefined;
  // An etcd that answers nobody has its finding.
  if (reachableEndpoints(peer.facts.endpoints).length === 0) return undefined;
  const { bundle, profile } = peer.facts;
  const target = { cluster: profile.name, endpoints: profile.etcdEndpoints, bundle };
  try {
    const endpoints = await reader.access.probePeer?.(target, signal);
    if (endpoints === undefined) return undefined;
    return { reader: reader.facts.profile.name, peer: profile.name, endpoints };
  } catch (error) {
    if (isMeshError(error, "aborted")) throw error;
    return undefined;
  }
}
