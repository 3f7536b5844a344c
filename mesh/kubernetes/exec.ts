// Running a command in a container of a pod, over the API server (a WebSocket, as `kubectl exec`
// does it): what it says and how it ends, within limits. Which pod is ready-pod.ts's business.
//
// The library that speaks the protocol is loaded when it is used; see transport.ts.
import { Writable } from "node:stream";
import type { KubeConfig, V1Status } from "@kubernetes/client-node";
import { abortedError, throwIfAborted, withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import { createKubeConfig, readKubeconfigText, type KubernetesAccess } from "./kubeconfig.ts";

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly argv: readonly string[];
}

export interface ExecResult {
  /** The exit status of the command. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface PodExec {
  /**
   * Resolves when the command has ended, whatever its status. Throws `permission_denied`,
   * `not_found` or `unavailable` when it could not be run.
   */
  run(target: ExecTarget, signal: AbortSignal): Promise<ExecResult>;
}

/** A node has thousands of services at most; a table of all of them is a few megabytes. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
/** Node starts in a second on a busy machine; what asks an apiserver ends within ten. */
const RUN_LIMIT_MS = 30_000;

export function createPodExec(access: KubernetesAccess, { clock }: { clock: Clock }): PodExec {
  const kubeConfig = rememberKubeConfig(access);
  return {
    run: async (target, signal) => {
      throwIfAborted(signal);
      const kube = await kubeConfig();
      return withTimeout((inner) => execute(kube, target, inner), {
        ms: RUN_LIMIT_MS,
        what: `Cannot run "${target.argv.join(" ")}" in pod "${target.pod}"`,
        clock,
        signal,
      });
    },
  };
}

/** The same object while the file says the same: it remembers what credential plugins said. */
export function rememberKubeConfig(access: KubernetesAccess): () => Promise<KubeConfig> {
  let known: { readonly text: string; readonly kube: KubeConfig } | undefined;
  return async () => {
    const text = await readKubeconfigText(access);
    if (known?.text !== text) known = { text, kube: await createKubeConfig(access, text) };
    return known.kube;
  };
}

async function execute(
  kube: KubeConfig,
  target: ExecTarget,
  signal: AbortSignal,
): Promise<ExecResult> {
  const { Exec } = await import("@kubernetes/client-node");
  const ended = Promise.withResolvers<number>();
  ended.promise.catch(() => {}); // It may fail before anybody waits for it.
  const stdout = createSink(ended.reject);
  const stderr = createSink(ended.reject);
  const onStatus = (status: V1Status): void => {
    try {
      ended.resolve(exitStatus(status, target));
    } catch (error) {
      ended.reject(error);
    }
  };
  const opening = new Exec(kube)
    .exec(
      target.namespace,
      target.pod,
      target.container,
      [...target.argv],
      stdout.stream,
      stderr.stream,
      null,
      false,
      onStatus,
    )
    .catch((error: unknown) => {
      throw execRefused(error, target);
    });
  const onAbort = (): void => ended.reject(abortedError(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  // Whoever gives up before the socket is open must not leave it behind.
  const closing = opening.then((socket) => ended.promise.finally(() => socket.terminate()));
  closing.catch(() => {}); // Its failures are those of `opening` and `ended`.
  try {
    const socket = await Promise.race([opening, ended.promise.then(() => opening)]);
    // The last word of the server is the status; a socket that closes without one was cut off.
    socket.addEventListener("close", () =>
      ended.reject(cutOff(target, "the connection was closed before the command ended")),
    );
    const status = await ended.promise;
    return { status, stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function createSink(reject: (error: unknown) => void): { stream: Writable; text(): string } {
  const chunks: Buffer[] = [];
  let length = 0;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      length += chunk.length;
      if (length <= MAX_OUTPUT_BYTES) chunks.push(chunk);
      else {
        const reason = `it is longer than ${MAX_OUTPUT_BYTES} bytes`;
        reject(new MeshError("resource_exhausted", `Cannot read the command's output: ${reason}`));
      }
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString("utf8") };
}

/** Success has no code; a failure names it among its causes. */
export function exitStatus(status: V1Status, target: ExecTarget): number {
  if (status.status === "Success") return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === "ExitCode");
  const code = Number(cause?.message);
  if (cause !== undefined && Number.isInteger(code)) return code;
  throw cutOff(target, status.message ?? "the node gives no reason");
}

export function cutOff({ argv, pod }: ExecTarget, reason: string): MeshError {
  return new MeshError("unavailable", `Cannot run "${argv[0]}" in pod "${pod}": ${reason}`);
}

/** The library's WebSocket only tells the server's status, in words of its own. */
export function execRefused(error: unknown, target: ExecTarget): MeshError {
  if (isMeshError(error)) return error;
  const message = String((error as { message?: unknown } | undefined)?.message ?? error);
  const status = Number(/server response: (\d{3})/.exec(message)?.[1]);
  const doing = `Cannot run a command in pod "${target.namespace}/${target.pod}"`;
  if (status === 401) {
    return new MeshError("unauthenticated", `${doing}: the API server does not know us`);
  }
  if (status === 403) {
    return new MeshError("permission_denied", `${doing}: it is forbidden`, {
      hint: "it takes the permissions to get and create pods/exec in that namespace",
    });
  }
  if (status === 404) return new MeshError("not_found", `${doing}: there is no such pod`);
  const reason = Number.isNaN(status) ? message : `the API server answers ${status}`;
  return new MeshError("unavailable", `${doing}: ${reason}`);
}
