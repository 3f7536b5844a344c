import { expect, test } from "@jest/globals";
import { abortedError } from "../../../../mesh/core/clock.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import type { Member } from "../../../../mesh/connect/apply.ts";
import type { ClusterAccess } from "../../../../mesh/connect/cluster-access.ts";
import type { ClusterFacts } from "../../../../mesh/connect/cluster-facts.ts";
import { readReaches } from "../../../../mesh/connect/reach.ts";
import { createFactsMaker } from "../../../fakes/cluster-facts.ts";

const never = new AbortController().signal;
const answer = { kind: "unreachable", reason: "refused" } as const;
const endpoints = [{ endpoint: "e", answer }];

async function member(
  name: string,
  probePeer: ClusterAccess["probePeer"],
  changes: Partial<ClusterFacts> = {},
): Promise<Member> {
  const facts = (await createFactsMaker(name, name.length)).make(changes);
  return { facts, access: { probePeer } as ClusterAccess };
}
const probing = (): ReturnType<NonNullable<ClusterAccess["probePeer"]>> =>
  Promise.resolve(endpoints);

test("readReaches() asks each cluster about each other one", async () => {
  const members = [await member("a", probing), await member("bb", probing)];
  expect(await readReaches(members, never)).toEqual([
    { reader: "a", peer: "bb", endpoints },
    { reader: "bb", peer: "a", endpoints },
  ]);
});

test("readReaches() leaves out what cannot be asked, or has its finding already", async () => {
  const fails = () => Promise.reject(new MeshError("unavailable", "no such command"));
  const members = [
    await member("a", undefined),
    await member("bb", fails),
    await member("ccc", probing, { apiserverProblem: "it is gone" }),
    await member("dddd", probing, { endpoints }),
  ];
  expect((await readReaches(members, never)).map(({ reader, peer }) => [reader, peer])).toEqual([
    ["dddd", "a"],
    ["dddd", "bb"],
    ["dddd", "ccc"],
  ]);
});

test("readReaches() ends with its signal", async () => {
  const aborted = () => Promise.reject(abortedError(AbortSignal.abort()));
  const members = [await member("a", aborted), await member("bb", probing)];
  await expect(readReaches(members, never)).rejects.toMatchObject({ code: "aborted" });
});
