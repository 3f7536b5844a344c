import { describe, expect, test } from "@jest/globals";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createMasquerade } from "../../../../agent/masquerade/masquerade.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const never = new AbortController().signal;

function create() {
  const kernel: { table: string | undefined; writes: number; refuse: boolean } = {
    table: undefined,
    writes: 0,
    refuse: false,
  };
  const facts: { podPrefixes: string[] | undefined } = { podPrefixes: undefined };
  const clock = createFakeClock();
  const masquerade = createMasquerade({
    nft: {
      read: () => Promise.resolve(kernel.table),
      async apply(script) {
        if (kernel.refuse) throw new Error("no nf_tables");
        kernel.table = script.toUpperCase();
        kernel.writes++;
      },
    },
    podPrefixes: () => facts.podPrefixes,
    devices: ["vx0"],
    ready: () => Promise.resolve(),
    clock,
    log: silentLogger,
  });
  return { kernel, facts, clock, masquerade };
}

describe("createMasquerade()", () => {
  test("writes once, again when the prefixes change, and when the table is flushed", async () => {
    const { kernel, facts, masquerade } = create();
    expect(await masquerade.repair(never)).toBe(false);
    facts.podPrefixes = ["10.1.1.0/24"];
    expect(await masquerade.repair(never)).toBe(true);
    expect(await masquerade.repair(never)).toBe(false);
    facts.podPrefixes = ["10.1.2.0/24"];
    expect(await masquerade.repair(never)).toBe(true);
    kernel.table = undefined;
    expect(await masquerade.repair(never)).toBe(true);
    expect(kernel.writes).toBe(3);
  });

  test("says why pods do not get out, and tries again", async () => {
    const { kernel, facts, clock, masquerade } = create();
    facts.podPrefixes = ["10.1.1.0/24"];
    kernel.refuse = true;
    const end = new AbortController();
    const done = masquerade.run(end.signal);
    await clock.settle();
    expect(masquerade.problem()).toBe("Pods do not reach what is outside the mesh: no nf_tables");
    kernel.refuse = false;
    await clock.advance(5_000);
    expect(masquerade.problem()).toBe("");
    end.abort();
    await done;
  });
});
