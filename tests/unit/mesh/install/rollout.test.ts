import { describe, expect, test } from "@jest/globals";
import { describeProgress, onlyNews, waitForRollout } from "../../../../mesh/install/rollout.ts";
import { createFakeClock } from "../../../fakes/clock.ts";
import { createFakeTransport } from "../../../fakes/kubernetes-transport.ts";

const workloads = [{ kind: "DaemonSet", name: "tombolo-agent" }] as const;
const set = (available: number): object => ({
  metadata: { name: "tombolo-agent", generation: 1 },
  spec: {},
  status: {
    observedGeneration: 1,
    desiredNumberScheduled: 2,
    updatedNumberScheduled: 2,
    numberAvailable: available,
  },
});
const list = (...items: object[]): object => ({ metadata: { resourceVersion: "1" }, items });
const crashing = {
  metadata: { name: "tombolo-agent-x" },
  spec: { nodeName: "node1" },
  status: {
    containerStatuses: [
      { name: "agent", restartCount: 2, state: { waiting: { reason: "CrashLoopBackOff" } } },
    ],
  },
};

function start(timeoutMs: number) {
  const transport = createFakeTransport();
  const clock = createFakeClock();
  const said: string[] = [];
  const onProgress = (line: string): void => void said.push(line);
  const options = { workloads, namespace: "ns", timeoutMs, clock, onProgress };
  const done = waitForRollout(transport, options, new AbortController().signal);
  return { transport, clock, said, done };
}

describe("waitForRollout()", () => {
  test("ends when every pod is ready, and tells each news once", async () => {
    const { transport, clock, said, done } = start(60_000);
    for (const available of [0, 0, 1]) {
      transport.answer(200, set(available));
      transport.answer(200, list());
    }
    transport.answer(200, set(2));
    await clock.advance(10_000);
    await done;
    expect(said).toEqual([
      "tombolo-agent 0/2 ready",
      "tombolo-agent 1/2 ready",
      "tombolo-agent 2/2 ready",
    ]);
  });

  test("gives up with the reason, and with the last words of the container", async () => {
    const { transport, clock, done } = start(500);
    const failed = expect(done).rejects.toThrow(
      /^Cannot wait for tombolo-agent any longer than 1 s: pod tombolo-agent-x on node node1: container agent ended 2 times\n {4}"it is broken"$/,
    );
    for (const _ of [1, 2]) {
      transport.answer(200, set(0));
      transport.answer(200, list(crashing));
    }
    transport.answer(200, "it is broken" as unknown as object);
    await clock.advance(5_000);
    await failed;
    const log = transport.requests.at(-1);
    expect(log?.path).toBe("/api/v1/namespaces/ns/pods/tombolo-agent-x/log");
    expect(log?.query.get("container")).toBe("agent");
  });

  test("ends when somebody deletes what it waits for", async () => {
    const { transport, done } = start(60_000);
    transport.answer(404, {});
    await expect(done).rejects.toThrow("somebody has deleted it");
  });
});

test("describeProgress() tells pods of the old version apart", () => {
  const progress = { name: "x", isSeen: true, wanted: 2, ready: 2, complete: false };
  expect(describeProgress(progress)).toBe("x 2/2 ready, not all up to date");
});

test("onlyNews() says a line once", () => {
  const said: string[] = [];
  const say = onlyNews((line) => void said.push(line));
  for (const line of ["a", "b", "a"]) say(line);
  expect(said).toEqual(["a", "b"]);
});
