// A command in a container of a pod as a stream: what is written is its input, what is read its
// output, over the API server (a WebSocket, as `kubectl exec -i` does it). It ends with the stream.
import { Duplex, Readable, Writable } from "node:stream";
import type { Exec as PodExecutor, KubeConfig, V1Status } from "@kubernetes/client-node";
import { abortedError, throwIfAborted } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import { cutOff, execRefused, exitStatus, rememberKubeConfig, type ExecTarget } from "./exec.ts";
import type { KubernetesAccess } from "./kubeconfig.ts";

export interface PodStreams {
  /**
   * Resolves when the command is being started. What it ends with is the stream's end, or its error
   * with the command's own last words. Throws like PodExec.run(); the signal is for the opening.
   */
  open(target: ExecTarget, signal: AbortSignal): Promise<Duplex>;
}

type WebSocket = Awaited<ReturnType<PodExecutor["exec"]>>;

/** What nobody has read yet; the library does not wait for readers. */
const MAX_UNREAD_BYTES = 32 * 1024 * 1024;
const MAX_WORDS_BYTES = 4 * 1024;
/** RFC 6455: the connection is up. */
const OPEN = 1;
/** The protocol's number of the standard input. */
const STDIN = 0;

export function createPodStreams(access: KubernetesAccess): PodStreams {
  const kubeConfig = rememberKubeConfig(access);
  return {
    open: async (target, signal) => {
      throwIfAborted(signal);
      return openStream(await kubeConfig(), target, signal);
    },
  };
}

async function openStream(
  kube: KubeConfig,
  target: ExecTarget,
  signal: AbortSignal,
): Promise<Duplex> {
  const { Exec } = await import("@kubernetes/client-node");
  const opened = Promise.withResolvers<WebSocket>();
  opened.promise.catch(() => {}); // Whoever opens it is told below.
  const stream = createDuplex(opened.promise);
  let words = "";
  let ended = false;
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!stream.destroyed) stream.push(chunk);
      if (stream.readableLength > MAX_UNREAD_BYTES) {
        const reason = `nobody reads what it says: ${MAX_UNREAD_BYTES} bytes wait`;
        stream.destroy(new MeshError("resource_exhausted", `Cannot go on: ${reason}`));
      }
      done();
    },
  });
  const errors = new Writable({
    write(chunk: Buffer, _encoding, done) {
      words = (words + chunk.toString("utf8")).slice(-MAX_WORDS_BYTES);
      done();
    },
  });
  const onStatus = (status: V1Status): void => {
    ended = true;
    try {
      const code = exitStatus(status, target);
      if (code === 0) stream.push(null);
      else stream.destroy(cutOff(target, lastWords(words) ?? `it ends with status ${code}`));
    } catch (error) {
      stream.destroy(error as Error);
    }
  };
  const { namespace, pod, container, argv } = target;
  // It asks for an input and never gives one: what is written is sent by ourselves, as fast as the
  // connection takes it.
  const input = new Readable({ read() {} });
  new Exec(kube)
    .exec(namespace, pod, container, [...argv], output, errors, input, false, onStatus)
    .then(opened.resolve, (error: unknown) => opened.reject(execRefused(error, target)));
  const onAbort = (): void => void stream.destroy(abortedError(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const socket = await Promise.race([opened.promise, untilDestroyed(stream)]);
    // The last word of the server is the status; a socket that closes without one was cut off.
    socket.addEventListener("close", () => {
      if (ended) return;
      stream.destroy(cutOff(target, "the connection was closed before the command ended"));
    });
    return stream;
  } catch (error) {
    stream.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function createDuplex(opened: Promise<WebSocket>): Duplex {
  return new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      opened.then((socket) => {
        if (socket.readyState !== OPEN) return done(new Error("the connection is closed"));
        socket.send(Buffer.concat([Buffer.from([STDIN]), chunk]), (error?: Error) => done(error));
      }, done);
    },
    // There is no end of the input alone in this protocol: the command ends with the connection.
    final(done) {
      this.destroy();
      done();
    },
    destroy(error, done) {
      // Also one that opens too late.
      opened.then(
        (socket) => socket.terminate(),
        () => {}, // It never was.
      );
      done(error);
    },
  });
}

function untilDestroyed(stream: Duplex): Promise<never> {
  return new Promise((_, reject) => {
    stream.once("error", reject);
    stream.once("close", () => reject(new MeshError("aborted", "The operation was aborted")));
  });
}

/** Without the name of the program, which the sentence around it has. */
function lastWords(text: string): string | undefined {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const line = lines.find((one) => one.includes("error: ")) ?? lines.at(-1);
  return line?.replace(/^\w+: error: /, "");
}
