// What `mesh identity` shows of a node: the numbers that its datapath may meet, and what stands
// behind each.
import type { AgentIdentity } from "../../mesh/api/policy-messages.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import {
  RESERVED_IDENTITY,
  type IdentityNumber,
  type IdentityRange,
} from "../../mesh/core/identity.ts";
import { policyKey } from "../../mesh/core/policy.ts";
import type { IdentityBook } from "../observe/identity-book.ts";
import type { RuleName } from "../policy/engine.ts";
import { FIRST_CIDR_NUMBER } from "../policy/entry.ts";
import { peerIdentityOf } from "./peer-counts.ts";
import { peerMeans } from "./peer-members.ts";
import type { PolicyReportParts } from "./policy-parts.ts";
import type { Turns } from "./turns.ts";

export interface IdentitiesContext {
  readonly parts: PolicyReportParts;
  readonly book: IdentityBook;
  readonly ownRange: IdentityRange;
  readonly turns: Turns;
}

/** Characters of labels in one answer: a message may have 16 MiB. */
export const ANSWER_TEXT_MAX = 12 * 1024 * 1024;

/**
 * Reserved ones, the node's own numbers, then every cluster's; a number that nobody knows is no
 * error. Rejects with `resource_exhausted` when they do not fit into one answer.
 */
export async function reportIdentities(
  asked: { readonly number: IdentityNumber; readonly cluster: string },
  context: IdentitiesContext,
): Promise<AgentIdentity[]> {
  const { book, turns } = context;
  const found: AgentIdentity[] = [];
  const numbers = asked.number === 0 ? allNumbers(context) : [asked.number];
  let text = 0;
  for (const number of numbers) {
    const identity = book.identity(number);
    const isAsked = asked.cluster === "" || identity.cluster === asked.cluster;
    // What is asked by number may be anything.
    if (!isAsked || identity.labels.length === 0) continue;
    const rules = asked.number === 0 ? [] : rulesThatMean(number, context);
    found.push({ ...identity, addresses: 0, rules });
    for (const label of identity.labels) text += label.length;
    if (text > ANSWER_TEXT_MAX) {
      throw new MeshError(
        "resource_exhausted",
        "Cannot list all identities: there are more than fit into one answer",
        { hint: "ask for those of one cluster, or for one by its number" },
      );
    }
    await turns.after(1);
  }
  const addresses = await countAddresses(new Set(found.map(({ number }) => number)), context);
  return found.map((identity) => ({
    ...identity,
    addresses: addresses.get(identity.number) ?? 0,
  }));
}

function* allNumbers({ parts, book }: IdentitiesContext): Generator<IdentityNumber> {
  for (const number of Object.values(RESERVED_IDENTITY)) {
    if (number !== RESERVED_IDENTITY.unknown) yield number;
  }
  for (const { identity } of parts.engine.rows()) if (identity >= FIRST_CIDR_NUMBER) yield identity;
  for (const { identities } of book.clusters()) {
    for (const [, { number }] of identities.entries()) yield number;
  }
}

/** Rows of the kernel's ipcache: addresses, and prefixes that have a number. */
async function countAddresses(
  wanted: ReadonlySet<IdentityNumber>,
  { parts, turns }: IdentitiesContext,
): Promise<ReadonlyMap<IdentityNumber, number>> {
  const counts = new Map<IdentityNumber, number>();
  if (wanted.size === 0) return counts;
  for (const [, { identity }] of parts.maps.ipcache.entries()) {
    if (wanted.has(identity)) counts.set(identity, (counts.get(identity) ?? 0) + 1);
    await turns.after(1);
  }
  return counts;
}

/** Those that name peers: who means everybody is not listed. */
function rulesThatMean(
  number: IdentityNumber,
  { parts, book, ownRange }: IdentitiesContext,
): RuleName[] {
  const { labels } = book.identity(number);
  const who = peerIdentityOf({ number, labels, prefix: book.prefixOf(number) });
  const names: RuleName[] = [];
  for (const [, policy] of parts.intent.own.policies.entries()) {
    for (const { ingress, egress } of policy.rules) {
      for (const { path, peers = [] } of [...ingress, ...egress]) {
        const isMeant = peers.some((peer) => peerMeans(peer, who, ownRange));
        if (isMeant) names.push({ policy: policyKey(policy), path });
      }
    }
  }
  return names;
}
