// Running a command in a pod through a real API server, and what is said when it cannot be.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../mesh/core/clock.ts";
import { createPodExec, type PodExec } from "../../mesh/kubernetes/exec.ts";
import {
  startTestKubelet,
  type KubeletCall,
  type KubeletHand,
  type TestKubelet,
} from "../fakes/kubelet.ts";
import { createFakeClock } from "../fakes/clock.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";

const LIMIT_MS = 300_000;
const never = new AbortController().signal;
const calls: KubeletCall[] = [];
let kubernetes: TestKubernetes;
let kubelet: TestKubelet;
let kubeconfig: string;
let exec: PodExec;

beforeAll(async () => {
  kubernetes = await startTestKubernetes();
  ({ path: kubeconfig } = await kubernetes.writeKubeconfig());
  kubelet = await startTestKubelet(kubernetes, { node: "n1", run: answer });
  const pod = { namespace: "default", name: "p", labels: { app: "x" } };
  await kubelet.addPod(pod);
  exec = createPodExec({ kubeconfig, context: "test" }, { clock: systemClock });
}, LIMIT_MS);

afterAll(async () => {
  await kubelet?.close();
  await kubernetes?.close();
}, LIMIT_MS);

function answer(call: KubeletCall): ReturnType<KubeletHand> {
  calls.push(call);
  const [word, size] = call.argv;
  if (word === "silent" || word === "cut") return Promise.resolve(word);
  const stdout = "é".repeat(Number(size));
  return Promise.resolve({ status: Number(word), stdout, stderr: "said\n" });
}

function target(...argv: string[]) {
  return { namespace: "default", pod: "p", container: "agent", argv };
}

describe("createPodExec()", () => {
  test("gives status and output of the command", async () => {
    const ran = { ...target("0", "3", "a b&c=%20"), container: "apiserver" };
    expect(await exec.run(ran, never)).toEqual({ status: 0, stdout: "ééé", stderr: "said\n" });
    expect(calls.at(-1)).toEqual(ran);
    expect(await exec.run(target("7", "0"), never)).toMatchObject({ status: 7, stdout: "" });
  });

  test("puts large output together, and refuses what is too large", async () => {
    const { stdout } = await exec.run(target("0", "500000"), never);
    expect(stdout).toHaveLength(500_000);
    await expect(exec.run(target("0", "9000000"), never)).rejects.toMatchObject({
      code: "resource_exhausted",
    });
  });

  test("says what is missing", async () => {
    await expect(exec.run({ ...target("0"), pod: "q" }, never)).rejects.toMatchObject({
      code: "not_found",
      message: 'Cannot run a command in pod "default/q": there is no such pod',
    });
    await expect(exec.run(target("cut"), never)).rejects.toMatchObject({
      code: "unavailable",
      message: 'Cannot run "cut" in pod "p": the connection was closed before the command ended',
    });
  });

  test("says who is not allowed to", async () => {
    const nobody = await kubernetes.writeUserKubeconfig({ token: "nobody" });
    const unknown = createPodExec({ kubeconfig: nobody }, { clock: systemClock });
    await expect(unknown.run(target("0"), never)).rejects.toMatchObject({
      code: "unauthenticated",
    });
    const reader = await kubernetes.writeUserKubeconfig({
      token: "test-admin",
      as: "reader",
    });
    const forbidden = createPodExec({ kubeconfig: reader }, { clock: systemClock });
    await expect(forbidden.run(target("0"), never)).rejects.toMatchObject({
      code: "permission_denied",
      hint: "it takes the permissions to get and create pods/exec in that namespace",
    });
  });

  test("ends with its caller's signal, and after its time", async () => {
    const abort = new AbortController();
    const aborted = exec.run(target("silent"), abort.signal);
    const asked = calls.length;
    await eventually(() => Promise.resolve(calls.length > asked));
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ code: "aborted" });

    const clock = createFakeClock();
    const late = createPodExec({ kubeconfig, context: "test" }, { clock });
    const before = calls.length;
    const waiting = late.run(target("silent"), never);
    const outcome = expect(waiting).rejects.toMatchObject({ code: "deadline_exceeded" });
    await eventually(() => Promise.resolve(calls.length > before));
    await clock.advance(30_000);
    await outcome;
  });

  test("says when the API server is away", async () => {
    await kubernetes.kill();
    await expect(exec.run(target("0"), never)).rejects.toMatchObject({ code: "unavailable" });
  });
});
