// Programs in pods that are talked with, through a real API server; and the way of an operator's
// questions to a cluster's NATS, which is one of them: a real nats-server, a real API server.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import {
  bridgeDirectoryOperations,
  encodeOperationsPlace,
  operationsPlacePath,
} from "../../mesh/connect/operations-access.ts";
import { openPodOperations } from "../../mesh/connect/pod-operations.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { messageFromError } from "../../mesh/core/errors.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createPodStreams, type PodStreams } from "../../mesh/kubernetes/exec-stream.ts";
import { APISERVER_NAME, NAME_LABEL } from "../../mesh/kubernetes/object-names.ts";
import { DRILLS_STREAM } from "../../mesh/operations/streams.ts";
import { eventually } from "../fakes/eventually.ts";
import {
  startTestKubelet,
  type KubeletCall,
  type KubeletHand,
  type TestKubelet,
} from "../fakes/kubelet.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";
import { startTestNats, type TestNats } from "../fakes/nats.ts";

const LIMIT_MS = 300_000;
const never = new AbortController().signal;
const calls: KubeletCall[] = [];
let kubernetes: TestKubernetes;
let kubelet: TestKubelet;
let kubeconfig: string;
let streams: PodStreams;
let nats: TestNats;
let bridges = 0;

beforeAll(async () => {
  kubernetes = await startTestKubernetes();
  ({ path: kubeconfig } = await kubernetes.writeKubeconfig());
  kubelet = await startTestKubelet(kubernetes, { node: "n1", run: answer });
  const labels = { [NAME_LABEL]: APISERVER_NAME };
  await kubelet.addPod({ namespace: "default", name: "p", labels });
  streams = createPodStreams({ kubeconfig, context: "test" });
  nats = await startTestNats("east");
  const path = operationsPlacePath(dirname(nats.pki));
  await mkdir(dirname(path), { recursive: true });
  const place = { cluster: "east", servers: [`127.0.0.1:${nats.port}`] };
  await writeFile(path, encodeOperationsPlace(place));
}, LIMIT_MS);

afterAll(async () => {
  await nats?.close();
  await kubelet?.close();
  await kubernetes?.close();
}, LIMIT_MS);

async function answer(call: KubeletCall): ReturnType<KubeletHand> {
  calls.push(call);
  const [word, ...words] = call.argv;
  if (word === "silent" || word === "cut") return word;
  if (word === "fail") return { status: 1, stdout: "", stderr: "a\nmesh: error: Cannot: so\n" };
  if (word === "mesh") {
    expect(words).toEqual(["bridge"]);
    return {
      async run(input, output) {
        bridges += 1;
        const ends = { input, output, clock: systemClock };
        try {
          await bridgeDirectoryOperations(dirname(nats.pki), ends, never);
          return { status: 0, stderr: "" };
        } catch (error) {
          return { status: 1, stderr: `mesh: error: ${messageFromError(error)}\n` };
        } finally {
          bridges -= 1;
        }
      },
    };
  }
  return {
    async run(input, output) {
      let heard = 0;
      for await (const chunk of input) {
        output.write(chunk);
        heard += (chunk as Buffer).length;
        if (heard >= Number(word)) break;
      }
      return { status: 0, stderr: "" };
    },
  };
}

function target(...argv: string[]) {
  return { namespace: "default", pod: "p", container: "apiserver", argv };
}

describe("createPodStreams()", () => {
  test("carries bytes both ways, as they are, until the program ends", async () => {
    const sent = Buffer.from("é\0\r\n".repeat(200_000));
    const stream = await streams.open(target(String(sent.length)), never);
    stream.write(sent.subarray(0, 7));
    stream.write(sent.subarray(7));
    expect((await text(stream)) === sent.toString()).toBe(true);
    stream.destroy();
  });

  test("fails with the program's last words, or that it was cut off", async () => {
    const failed = await streams.open(target("fail"), never);
    await expect(text(failed)).rejects.toMatchObject({
      code: "unavailable",
      message: 'Cannot run "fail" in pod "p": Cannot: so',
    });
    const cut = await streams.open(target("cut"), never);
    await expect(text(cut)).rejects.toMatchObject({
      code: "unavailable",
      message: 'Cannot run "cut" in pod "p": the connection was closed before the command ended',
    });
  });

  test("says what is missing, and who is not allowed to", async () => {
    await expect(streams.open({ ...target("0"), pod: "q" }, never)).rejects.toMatchObject({
      code: "not_found",
    });
    const reader = await kubernetes.writeUserKubeconfig({ token: "test-admin", as: "reader" });
    const forbidden = createPodStreams({ kubeconfig: reader });
    await expect(forbidden.open(target("0"), never)).rejects.toMatchObject({
      code: "permission_denied",
      hint: "it takes the permissions to get and create pods/exec in that namespace",
    });
    await expect(streams.open(target("0"), AbortSignal.abort())).rejects.toMatchObject({
      code: "aborted",
    });
  });
});

describe("openPodOperations()", () => {
  const open = () => {
    const context = {
      name: "east",
      kubeconfig,
      kubeContext: "test",
      namespace: "default",
      networkNamespace: undefined,
    };
    const environment = { clock: systemClock, random: Math.random, log: silentLogger };
    return openPodOperations(context, environment);
  };

  test("stores and reads in the NATS of the cluster, and leaves nothing behind", async () => {
    const end = new AbortController();
    const connection = open();
    const running = connection.run(end.signal);
    await connection.ready(end.signal);
    expect(bridges).toBe(1);
    await connection.ensureStream(DRILLS_STREAM, end.signal);
    const data = "x".repeat(3_000_000);
    const report = { subject: "tombolo.drills.east.d1", data, id: "d1" };
    await connection.store(report, { timeoutMs: 10_000, signal: end.signal });
    const [stored] = await connection.read("DRILLS", { filter: "tombolo.drills.>" }, end.signal);
    expect(stored?.data.toString() === data).toBe(true);
    end.abort();
    await running;
    await eventually(() => bridges === 0, { what: "the program in the pod has ended" });
  });

  test("says why it cannot, in the pod's own words", async () => {
    const path = operationsPlacePath(dirname(nats.pki));
    const place = { cluster: "east", servers: ["127.0.0.1:1"] };
    await writeFile(path, encodeOperationsPlace(place));
    const end = new AbortController();
    const connection = open();
    const running = connection.run(end.signal);
    await eventually(() => connection.status().lastError !== "");
    expect(connection.status().lastError).toMatch(
      /^Cannot run "mesh" in pod "p": Cannot connect to NATS at 127\.0\.0\.1:1: .*ECONNREFUSED/,
    );
    end.abort();
    await running;
  });
});
