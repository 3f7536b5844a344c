import { describe, expect, test } from "@jest/globals";
import { createPodDrainChecker } from "../../../../mesh/connect/drain-check.ts";
import type { ExecResult, ExecTarget } from "../../../../mesh/kubernetes/exec.ts";
import { createMemoryKubernetes } from "../../../fakes/memory-kubernetes.ts";

const never = new AbortController().signal;

function checker(result: Partial<ExecResult>) {
  const ran: ExecTarget[] = [];
  const transport = createMemoryKubernetes();
  transport.put("/api/v1/namespaces/mesh/pods", {
    metadata: { name: "p-1", labels: { "app.kubernetes.io/name": "tombolo-apiserver" } },
    status: { phase: "Running" },
  });
  const run = (target: ExecTarget): Promise<ExecResult> => {
    ran.push(target);
    return Promise.resolve({ status: 0, stdout: "", stderr: "", ...result });
  };
  return { ran, ...createPodDrainChecker({ transport, namespace: "mesh", exec: { run } }) };
}

describe("createPodDrainChecker()", () => {
  test("asks inside the apiserver's pod", async () => {
    const answer = { affected: 1, short: [], problems: [] };
    const asked = checker({ stdout: JSON.stringify(answer) });
    expect(await asked.checkDrain({ cluster: "west", services: ["a/b"] }, never)).toEqual(answer);
    expect(asked.ran[0]?.argv).toEqual(["mesh", "facts", "--drain-of", "west", "--service", "a/b"]);
  });

  test.each([
    [{ status: 1, stderr: "mesh: error: no such flag\nmore" }, "mesh: error: no such flag"],
    [{ stdout: "{" }, "its answer is no JSON"],
  ])("says why there is no answer in %j", async (result, reason) => {
    const asking = checker(result).checkDrain({ cluster: "west", services: [] }, never);
    await expect(asking).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(reason),
    });
  });
});
