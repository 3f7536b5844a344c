// What the apiserver answers, and what it leaves to agents.
import { describe, expect, test } from "@jest/globals";
import { createApiserverAnswers } from "../../../../apiserver/drill/answer.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const did: unknown[] = [];
const answers = createApiserverAnswers({
  cluster: "east",
  version: "1",
  nodes: () => ["east-1"],
  peers: () => ["west"],
  locks: {
    take: async ({ drill }) => (drill === "d" ? undefined : { drill: "d", holder: "me" }),
    release: async (drill) => void did.push(["release", drill]),
  },
  faults: {
    break: async (request) => void did.push(request),
    lift: (drill) => void did.push(["lift", drill]),
  },
  clock: createFakeClock(1_000),
});

describe("createApiserverAnswers()", () => {
  test("says who is in the cluster", async () => {
    expect(await answers({ ask: "hello" })).toEqual({
      cluster: "east",
      node: "_apiserver",
      version: "1",
      timeMs: 1_000,
      nodes: ["east-1"],
      peers: ["west"],
    });
  });

  test("gives the lock to one drill and tells the others whose it is", async () => {
    const lock = { ask: "lock", holder: "you", ttlMs: 1, renew: false } as const;
    expect(await answers({ ...lock, drill: "d" })).toEqual({ held: true });
    const refused = { held: false, drill: "d", holder: "me" };
    expect(await answers({ ...lock, drill: "e" })).toEqual(refused);
  });

  test("breaks, lifts and unlocks", async () => {
    const broken = { ask: "break", drill: "d", fault: "etcd-kill", ttlMs: 1 } as const;
    await answers(broken);
    await answers({ ask: "lift", drill: "d" });
    expect(await answers({ ask: "unlock", drill: "" })).toEqual({ done: true });
    expect(did).toEqual([broken, ["lift", "d"], ["release", ""]]);
  });

  test("leaves the datapath to agents", async () => {
    await expect(answers({ ask: "snapshot" })).rejects.toThrow(/ask an agent/);
  });
});
