import { describe, expect, test } from "@jest/globals";
import {
  describeProblem,
  nodeOfPod,
  podProblem,
  progressOf,
  type PodObject,
} from "../../../../mesh/install/rollout-state.ts";

describe("progressOf()", () => {
  const daemons = { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2 };
  const deployed = { replicas: 1, updatedReplicas: 1, availableReplicas: 1 };
  for (const [what, object, complete] of [
    ["a DaemonSet that nobody has looked at", { status: {} }, false],
    ["one whose numbers are of the past", { status: { ...daemons, observedGeneration: 1 } }, false],
    ["a finished DaemonSet", { status: { ...daemons, observedGeneration: 2 } }, true],
    [
      "one that is being exchanged",
      { status: { ...daemons, observedGeneration: 2, updatedNumberScheduled: 1 } },
      false,
    ],
    [
      "a finished Deployment",
      { spec: { replicas: 1 }, status: { ...deployed, observedGeneration: 2 } },
      true,
    ],
    [
      "a Deployment with an old pod",
      { spec: { replicas: 1 }, status: { ...deployed, observedGeneration: 2, replicas: 2 } },
      false,
    ],
  ] as const) {
    test(`${complete ? "accepts" : "waits for"} ${what}`, () => {
      const metadata = { name: "x", generation: 2 };
      expect(progressOf({ metadata, ...object }).complete).toBe(complete);
    });
  }
});

describe("podProblem()", () => {
  const on = { nodeName: "node1" };
  const container = (state: object, more: object = {}): PodObject["status"] => ({
    containerStatuses: [{ name: "agent", ready: false, state, ...more }],
  });
  for (const [what, pod, reason] of [
    ["a ready pod", { status: { conditions: [{ type: "Ready", status: "True" }] } }, undefined],
    [
      "a pod that no node takes",
      {
        status: {
          conditions: [{ type: "PodScheduled", status: "False", message: "0/3 nodes fit" }],
        },
      },
      "no node takes it: 0/3 nodes fit",
    ],
    ["a pod without a node", {}, "no node has been chosen yet"],
    ["a pod that its node has not seen", { spec: on }, "the kubelet has not started it yet"],
    [
      "an image that cannot be pulled",
      { spec: on, status: container({ waiting: { reason: "ErrImagePull", message: "denied" } }) },
      "container agent waits: ErrImagePull (denied)",
    ],
    [
      "a container that ends again and again",
      {
        spec: on,
        status: container(
          { waiting: { reason: "CrashLoopBackOff" } },
          { restartCount: 3, lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } } },
        ),
      },
      "container agent ended 3 times, it last ended with status 137 (OOMKilled)",
    ],
    [
      "a container that has ended",
      { spec: on, status: container({ terminated: { exitCode: 2, reason: "Error" } }) },
      "container agent ended with status 2",
    ],
    [
      "a container that runs",
      { spec: on, status: container({ running: {} }) },
      "container agent is not ready",
    ],
    [
      "an evicted pod",
      { spec: on, status: { phase: "Failed", message: "low on disk" } },
      "it failed: low on disk",
    ],
  ] as const) {
    test(`of ${what}`, () => {
      expect(podProblem({ metadata: { name: "p" }, ...pod } as PodObject)?.reason).toBe(reason);
    });
  }

  test("of a pod that is being deleted is none", () => {
    const metadata = { name: "p", deletionTimestamp: "2026-01-01T00:00:00Z" };
    expect(podProblem({ metadata })).toBeUndefined();
  });
});

test("nodeOfPod() knows what a DaemonSet's pod is meant for", () => {
  const requiredDuringSchedulingIgnoredDuringExecution = {
    nodeSelectorTerms: [{ matchFields: [{ values: ["node2"] }] }],
  };
  const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution } };
  const metadata = { name: "p" };
  expect(nodeOfPod({ metadata, spec: { affinity } })).toBe("node2");
  expect(nodeOfPod({ metadata, spec: { nodeName: "node1", affinity } })).toBe("node1");
  expect(nodeOfPod({ metadata })).toBe("no node");
});

test("describeProblem() puts the last words below", () => {
  const problem = { pod: "p", node: "node1", reason: "it ended", container: "agent" };
  expect(describeProblem(problem, ["a", "b"])).toBe("pod p on node node1: it ended\n    a\n    b");
});
