import { beforeEach, describe, expect, test } from "@jest/globals";
import { createPodStatusReader } from "../../../../mesh/connect/kubernetes-apiserver.ts";
import type { ExecResult, ExecTarget } from "../../../../mesh/kubernetes/exec.ts";
import { createMemoryKubernetes, type MemoryKubernetes } from "../../../fakes/memory-kubernetes.ts";

const never = new AbortController().signal;
let api: MemoryKubernetes;
let ran: ExecTarget[];

beforeEach(() => {
  ran = [];
  api = createMemoryKubernetes();
  api.put("/api/v1/namespaces/mesh/pods", {
    metadata: { name: "p-1", labels: { "app.kubernetes.io/name": "tombolo-apiserver" } },
    status: { phase: "Running" },
  });
});

function reader(result: Partial<ExecResult>) {
  const run = (target: ExecTarget): Promise<ExecResult> => {
    ran.push(target);
    return Promise.resolve({ status: 0, stdout: "", stderr: "", ...result });
  };
  return createPodStatusReader({ transport: api, namespace: "mesh", exec: { run } });
}

describe("createPodStatusReader()", () => {
  test("runs `mesh status` where the apiserver's socket is", async () => {
    const apiserver = { version: "1", ready: false, peers: [{ name: "west" }] };
    const stdout = JSON.stringify([{ context: "east", apiserver }]);
    const status = reader({ status: 1, stdout });
    expect(await status.readStatus(never)).toEqual(apiserver);
    expect(await status.readPeers(never)).toEqual([{ name: "west" }]);
    expect(ran[0]).toEqual({
      namespace: "mesh",
      pod: "p-1",
      container: "apiserver",
      argv: ["mesh", "status", "--output", "json"],
    });
  });

  test.each([
    [{ stdout: "[]" }, "it knows no cluster"],
    [{ stdout: '[{"problem":"no socket"}]' }, "no socket"],
    [{ status: 127, stderr: "mesh: error: Cannot start\nmore" }, "Cannot start"],
    [{ status: 1 }, "its answer is no JSON (status 1)"],
  ])("says why there is no status in %j", async (result, reason) => {
    await expect(reader(result).readPeers(never)).rejects.toMatchObject({
      code: "unavailable",
      message: `Cannot ask the apiserver in pod "p-1": ${reason}`,
    });
  });

  test("says when no apiserver runs", async () => {
    api.objects.clear();
    await expect(reader({}).readPeers(never)).rejects.toMatchObject({ code: "not_found" });
  });
});
