// An API server that answers what a test has written down, request by request, and keeps what it
// was asked. Watches stay open until the test ends them.
import { MeshError } from "../../mesh/core/errors.ts";
import type {
  ApiRequest,
  ApiResponse,
  KubernetesTransport,
} from "../../mesh/kubernetes/transport.ts";

export interface FakeTransport extends KubernetesTransport {
  readonly requests: readonly (ApiRequest & { readonly query: URLSearchParams })[];
  /** The answer to the next request that has none yet; a watch is `answerWatch`. */
  answer(status: number, body: object): void;
  /** The next request does not get through. */
  fail(): void;
  /** The next request is answered by a stream that is written as the test goes on. */
  answerWatch(): FakeWatch;
}

export interface FakeWatch {
  send(...events: readonly object[]): void;
  end(): void;
  cut(): void;
  /** Whether the reader has given it up. */
  readonly aborted: boolean;
}

type Answer = (signal: AbortSignal) => ApiResponse;

export function createFakeTransport(): FakeTransport {
  const requests: (ApiRequest & { query: URLSearchParams })[] = [];
  const answers: Answer[] = [];
  const waiting: ((answer: Answer) => void)[] = [];

  function add(answer: Answer): void {
    const taker = waiting.shift();
    if (taker === undefined) answers.push(answer);
    else taker(answer);
  }

  return {
    requests,
    server: "https://fake",
    async send(request, signal) {
      const url = new URL(request.path, "https://fake");
      requests.push({ ...request, path: url.pathname, query: url.searchParams });
      const answer =
        answers.shift() ??
        (await new Promise<Answer>((resolve, reject) => {
          waiting.push(resolve);
          signal.addEventListener("abort", () => {
            if (waiting.includes(resolve)) waiting.splice(waiting.indexOf(resolve), 1);
            reject(new MeshError("aborted", "aborted"));
          });
        }));
      return answer(signal);
    },
    answer: (status, body) =>
      add(() => ({ status, body: once(Buffer.from(JSON.stringify(body))) })),
    fail: () =>
      add(() => {
        throw new MeshError("unavailable", "Cannot reach the API server");
      }),
    answerWatch() {
      const watch = createWatch();
      add((signal) => ({ status: 200, body: watch.body(signal) }));
      return watch;
    },
  };
}

async function* once(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk;
}

function createWatch(): FakeWatch & { body(signal: AbortSignal): AsyncIterable<Uint8Array> } {
  const chunks: Uint8Array[] = [];
  let ended: "end" | "cut" | undefined;
  let aborted = false;
  let wake: (() => void) | undefined;

  return {
    get aborted() {
      return aborted;
    },
    send(...events) {
      for (const event of events) chunks.push(Buffer.from(`${JSON.stringify(event)}\n`));
      wake?.();
    },
    end() {
      ended = "end";
      wake?.();
    },
    cut() {
      ended = "cut";
      wake?.();
    },
    async *body(signal) {
      const onAbort = (): void => {
        aborted = true;
        wake?.();
      };
      signal.addEventListener("abort", onAbort);
      for (;;) {
        yield* chunks.splice(0);
        if (signal.aborted) throw new Error("aborted");
        if (ended === "cut") throw new Error("connection reset");
        if (ended === "end") return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
