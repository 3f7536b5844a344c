import { describe, expect, test } from "@jest/globals";
import { DEFAULT_LIMITS } from "../../../../agent/health/judge-limits.ts";
import { createPassive } from "../../../../agent/health/judge-passive.ts";

interface News {
  readonly failed: number;
  readonly established?: number;
  readonly blind?: boolean;
  /** A failure each, of backends with these numbers on nodes with these names. */
  readonly backends?: Readonly<Record<number, string>>;
}

/** What comes in at a time. */
function listen(...slices: readonly (News & { readonly atMs: number })[]) {
  const passive = createPassive(DEFAULT_LIMITS);
  for (const { atMs, failed, established = 0, blind = false, backends = {} } of slices) {
    passive.add({
      atMs,
      blind,
      targets: [],
      heardRequests: new Map(),
      passive: [{ clusterId: 2, connects: 9, established, failed, retransmissions: 0, aborted: 0 }],
      suspects: Object.entries(backends).map(([id, node]) => ({
        backendId: Number(id),
        clusterId: 2,
        cluster: "west",
        family: 4,
        node,
        failures: 1,
        established: 0,
        retransmissions: 0,
      })),
    });
  }
  return passive;
}

describe("createPassive()", () => {
  test("adds up two rounds; five failures and no success are a refusal", () => {
    expect(listen({ atMs: 100, failed: 3 }).isRefusing(2)).toBe(false);
    const passive = listen({ atMs: 100, failed: 3 }, { atMs: 200, failed: 2 });
    expect(passive.isRefusing(2)).toBe(true);
    expect(passive.failedConnects(2)).toBe(5);
    expect(passive.isRefusing(3)).toBe(false);
    const mixed = { atMs: 300, failed: 9, established: 1 };
    expect(listen({ atMs: 200, failed: 5 }, mixed).isRefusing(2)).toBe(false);
  });

  test("takes nothing from a pause, nor from what was two rounds ago", () => {
    const pause = { atMs: 3_000, failed: 50, blind: true };
    expect(listen({ atMs: 100, failed: 5 }, pause).failedConnects(2)).toBe(0);
    const old = listen(
      { atMs: 100, failed: 5 },
      { atMs: 200, failed: 0 },
      { atMs: 305, failed: 1 },
    );
    expect(old.failedConnects(2)).toBe(1);
  });

  test("counts what failed since the last success, whatever there was before", () => {
    const before = { atMs: 100, failed: 0, established: 90 };
    const after = (failed: number): News & { atMs: number } => ({ atMs: 125, failed });
    expect(listen(before, after(1)).refusal(2)).toBe("none");
    expect(listen(before, after(2)).refusal(2)).toBe("few");
    expect(listen(before, after(4)).refusal(2)).toBe("few");
    expect(listen(before, after(5)).refusal(2)).toBe("many");
    const success = { atMs: 150, failed: 9, established: 1 };
    expect(listen(before, after(5), success).refusal(2)).toBe("none");
  });

  test("three failures are many if they were on two nodes, two or one node's are not", () => {
    const mixed = { atMs: 100, failed: 2, established: 9, backends: { 1: "n1", 2: "n1" } };
    const last = (node: string) => ({ atMs: 125, failed: 1, backends: { 3: node } });
    expect(listen(mixed, last("n2")).refusal(2)).toBe("many");
    expect(listen(mixed, last("n1")).refusal(2)).toBe("none");
    expect(listen({ ...mixed, backends: { 1: "n1" } }, last("n2")).refusal(2)).toBe("none");
    // Nothing has failed since the success.
    expect(listen(mixed, { atMs: 125, failed: 0 }).refusal(2)).toBe("none");
  });

  test("says for half a second that failing has begun, and again after a second of quiet", () => {
    const every100ms = Array.from({ length: 12 }, (_, i) => ({ atMs: 100 * i, failed: 1 }));
    expect(listen(...every100ms.slice(0, 5)).hasBegun(2)).toBe(true);
    expect(listen(...every100ms).hasBegun(2)).toBe(false);
    expect(listen(...every100ms, { atMs: 2_000, failed: 1 }).hasBegun(2)).toBe(false);
    expect(listen(...every100ms, { atMs: 2_200, failed: 1 }).hasBegun(2)).toBe(true);
    expect(listen(...every100ms).hasBegun(3)).toBe(false);
  });
});
