// What nats-server says of itself: its streams and its links, asked at its monitoring port, which
// only this machine reaches.
import { request } from "node:http";
import { abortedError, withTimeout, type Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";

export interface StreamReport {
  readonly name: string;
  readonly messages: number;
  readonly bytes: number;
}

export interface NatsReport {
  readonly streams: readonly StreamReport[];
  /** Peers whose link stands. */
  readonly links: readonly string[];
}

const ANSWER_MAX_BYTES = 4 * 1024 * 1024;
const ANSWER_TIMEOUT_MS = 2_000;
const PEER_ACCOUNT = /^PEER_(.+)$/;

/** Throws `unavailable` or `deadline_exceeded` if it does not answer. */
export async function readNatsReport(
  monitorListen: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<NatsReport> {
  const ask = (path: string): Promise<unknown> =>
    withTimeout((inner) => getJson(`http://${monitorListen}${path}`, inner), {
      ms: ANSWER_TIMEOUT_MS,
      what: "Cannot ask nats-server how it is",
      clock,
      signal,
    });
  const [streams, leafs] = await Promise.all([ask("/jsz?streams=true"), ask("/leafz")]);
  return { streams: streamsOf(streams), links: linksOf(leafs) };
}

/** Exported for its test: NATS' own words, which differ between versions. */
export function streamsOf(answer: unknown): StreamReport[] {
  const accounts = listOf(field(answer, "account_details"));
  return accounts
    .flatMap((account) => listOf(field(account, "stream_detail")))
    .map((stream) => {
      const state = field(stream, "state");
      return {
        name: String(field(stream, "name")),
        messages: Number(field(state, "messages") ?? 0),
        bytes: Number(field(state, "bytes") ?? 0),
      };
    });
}

export function linksOf(answer: unknown): string[] {
  const names = listOf(field(answer, "leafs")).flatMap((leaf) => {
    const [, name] = PEER_ACCOUNT.exec(String(field(leaf, "account"))) ?? [];
    return name === undefined ? [] : [name];
  });
  return [...new Set(names)].sort();
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function getJson(url: string, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(
        signal.aborted
          ? abortedError(signal)
          : new MeshError("unavailable", "Cannot ask nats-server how it is", { cause }),
      );
    const asking = request(url, { signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_MAX_BYTES) asking.destroy(new Error("the answer is too long"));
        else chunks.push(chunk);
      });
      response.on("error", fail);
      response.on("end", () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString("utf8")));
        } catch (cause) {
          fail(cause);
        }
      });
    });
    asking.on("error", fail);
    asking.end();
  });
}
