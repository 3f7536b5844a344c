import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import {
  applySteps,
  createUndoLog,
  runUndoable,
  type Member,
} from "../../../../mesh/connect/apply.ts";
import type { ClusterAccess } from "../../../../mesh/connect/cluster-access.ts";
import { planConnect, type ConnectStep } from "../../../../mesh/connect/plan.ts";
import { createTestCluster, readTree, type TestCluster } from "../../../fakes/cluster.ts";
import { createFactsMaker } from "../../../fakes/cluster-facts.ts";

const NAMES = ["east", "west"];
let clusters: TestCluster[] = [];
let members: Member[] = [];
let steps: ConnectStep[] = [];
const never = new AbortController().signal;

beforeAll(async () => {
  clusters = await Promise.all(
    NAMES.map((name, index) => createTestCluster({ name, id: index + 1 })),
  );
  members = await Promise.all(
    clusters.map(async ({ name, access }, index) => {
      const maker = await createFactsMaker(name, index + 1);
      const facts = maker.make({ profile: await access.readProfile() });
      return { access, facts };
    }),
  );
  steps = planConnect(
    members.map(({ facts }) => facts),
    Date.now(),
  );
}, 60_000);

afterAll(async () => {
  for (const cluster of clusters) await cluster.close();
});

async function trees() {
  return Promise.all(clusters.map(({ directory }) => readTree(directory)));
}

/** All members, their writing verbs counted; the nth one fails, before or after its work. */
function failingAt(nth: number, { late }: { late: boolean }): Member[] {
  let calls = 0;
  const spoil =
    <Args extends unknown[], R>(verb: (...args: Args) => Promise<R>) =>
    async (...args: Args): Promise<R> => {
      calls += 1;
      if (calls !== nth) return verb(...args);
      if (late) await verb(...args);
      throw new Error(`failure ${nth}`);
    };
  return members.map(({ access, facts }) => {
    const spoiled: ClusterAccess = {
      ...access,
      signReader: spoil((reader, request) => access.signReader(reader, request)),
      admitReader: spoil((reader) => access.admitReader(reader)),
      installPeer: spoil((peer) => access.installPeer(peer)),
      rememberPeer: spoil((peer) => access.rememberPeer(peer)),
    };
    return { access: spoiled, facts };
  });
}

describe("applySteps() in runUndoable()", () => {
  let before: Awaited<ReturnType<typeof trees>>;

  beforeEach(async () => {
    before = await trees();
  });

  // Four steps: two admissions of two calls each, two installations of three.
  for (const late of [false, true]) {
    test(`puts all back after a failure ${late ? "behind" : "before"} every single call`, async () => {
      for (let nth = 1; nth <= 10; nth++) {
        const options = { members: failingAt(nth, { late }), onStep: () => {}, signal: never };
        await expect(
          runUndoable((undo) => applySteps(steps, { ...options, undo })),
        ).rejects.toThrow(/^Cannot carry out ".*"$/);
        expect(await trees()).toEqual(before);
      }
    }, 120_000);
  }

  test("puts all back after an abort at every step", async () => {
    for (let nth = 1; nth <= steps.length; nth++) {
      const abort = new AbortController();
      let seen = 0;
      const onStep = (): void => {
        seen += 1;
        if (seen === nth) abort.abort();
      };
      const attempt = runUndoable((undo) =>
        applySteps(steps, { members, undo, onStep, signal: abort.signal }),
      );
      await expect(attempt).rejects.toMatchObject({ code: "aborted" });
      expect(await trees()).toEqual(before);
    }
  }, 120_000);

  test("keeps the cause's code and names the step", async () => {
    const [first] = steps;
    const error = await runUndoable((undo) =>
      applySteps(first === undefined ? [] : [first], {
        members: failingAt(2, { late: false }),
        undo,
        onStep: () => {},
        signal: never,
      }),
    ).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      message: 'Cannot carry out "west: let "east" read its exported state"',
      cause: { message: "failure 2" },
    });
  });
});

describe("createUndoLog()", () => {
  test("undoes last first, once, and goes on after a failure", async () => {
    const log = createUndoLog();
    const seen: string[] = [];
    for (const name of ["a", "b", "c"]) {
      log.remember(() => {
        seen.push(name);
        return name === "b" ? Promise.reject(new Error("b is stuck")) : Promise.resolve();
      });
    }
    await expect(log.rollBack()).rejects.toMatchObject({
      code: "data_loss",
      message: "Cannot put everything back as it was: b is stuck",
    });
    expect(seen).toEqual(["c", "b", "a"]);
    await log.rollBack();
    expect(seen).toHaveLength(3);
  });

  test("runUndoable() tells of both when the way back fails too", async () => {
    const attempt = runUndoable((undo) => {
      undo.remember(() => Promise.reject(new Error("stuck")));
      return Promise.reject(new Error("first failure"));
    });
    await expect(attempt).rejects.toMatchObject({
      code: "data_loss",
      message: expect.stringContaining("stuck"),
      cause: { message: "first failure" },
    });
  });
});
