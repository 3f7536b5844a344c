// The lab's client: numbered requests at a steady rate, each recorded as one JSON line
// {n, sentAtMs, target, ms, answer} or {…, error}. Every request has a connection of its own, or,
// with --keep, all requests to one TCP target share the first. Says nothing about what the answers
// mean; whoever started it counts.
//
//   node client.ts --target tcp:10.97.0.10:80 --target 'udp:[fd00:96:1::a]:80'
//                  [--interval-ms 20] [--timeout-ms 1000] [--count 100] [--output FILE] [--keep]
import { createSocket } from "node:dgram";
import { openSync, writeSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { parseArgs } from "node:util";
import { systemClock } from "../../../mesh/core/clock.ts";

const TIMED_OUT = "no answer in time";

interface Target {
  readonly text: string;
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

const { values } = parseArgs({
  options: {
    target: { type: "string", multiple: true },
    "interval-ms": { type: "string", default: "20" },
    "timeout-ms": { type: "string", default: "1000" },
    count: { type: "string" },
    output: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const targets = (values.target ?? []).map(parseTarget);
const timeoutMs = Number(values["timeout-ms"]);
const count = values.count === undefined ? Number.POSITIVE_INFINITY : Number(values.count);
const output = values.output === undefined ? 1 : openSync(values.output, "a", 0o644);

function parseTarget(text: string): Target {
  const match = /^(tcp|udp):(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d+)$/.exec(text);
  if (match === null) {
    process.stderr.write(
      `Cannot use target "${text}": want tcp:ADDRESS:PORT or udp:[ADDRESS]:PORT\n`,
    );
    process.exit(2);
  }
  const [, protocol = "", ipv6, ipv4, port] = match;
  return { text, protocol, host: ipv6 ?? ipv4 ?? "", port: Number(port) };
}

function askTcp(target: Target, n: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const { host, port } = target;
    const signal = AbortSignal.timeout(timeoutMs);
    const socket = connect({ host, port, noDelay: true, signal });
    let text = "";
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`${n}\n`));
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (!text.includes("\n")) return;
      socket.destroy();
      resolve(text.trimEnd());
    });
    socket.on("error", (error) => reject(signal.aborted ? new Error(TIMED_OUT) : error));
    socket.on("close", () => reject(new Error("the connection was closed without an answer")));
  });
}

function askUdp(target: Target, n: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const socket = createSocket({ type: target.host.includes(":") ? "udp6" : "udp4", signal });
    socket.once("message", (message) => {
      socket.close();
      resolve(message.toString().trimEnd());
    });
    // More than one may come: of a socket that was ended from outside, and of what it sends then.
    socket.on("error", reject);
    socket.once("close", () => reject(new Error(TIMED_OUT)));
    // Connected, so that a refusal is reported and only the asked one can answer.
    socket.connect(target.port, target.host, () => socket.send(`${n}\n`));
  });
}

/** Answers come in the order of the requests. A connection that is lost is not opened again. */
class KeptConnection {
  readonly #socket: Socket;
  readonly #waiting: { resolve: (answer: string) => void; reject: (error: Error) => void }[] = [];
  #failure: Error | undefined;

  constructor({ host, port }: Target) {
    this.#socket = connect({ host, port, noDelay: true });
    let pending = "";
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (chunk: string) => {
      const lines = (pending + chunk).split("\n");
      pending = lines.pop() ?? "";
      for (const line of lines) this.#waiting.shift()?.resolve(line);
    });
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the connection was closed")));
  }

  ask(n: number): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#waiting.push({ resolve, reject });
      const late = AbortSignal.timeout(timeoutMs);
      late.addEventListener("abort", () => reject(new Error(TIMED_OUT)), { once: true });
      this.#socket.write(`${n}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

function ask(target: Target, n: number): Promise<string> {
  if (target.protocol === "udp") return askUdp(target, n);
  if (!values.keep) return askTcp(target, n);
  const connection = kept.get(target.text) ?? new KeptConnection(target);
  kept.set(target.text, connection);
  return connection.ask(n);
}

async function request(target: Target, n: number): Promise<void> {
  const sentAtMs = systemClock.nowMs();
  const start = systemClock.monotonicMs();
  const took = (): number => Math.round((systemClock.monotonicMs() - start) * 100) / 100;
  try {
    const answer = await ask(target, n);
    record({ n, sentAtMs, target: target.text, ms: took(), answer });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    record({ n, sentAtMs, target: target.text, ms: took(), error: message });
  }
}

function record(line: unknown): void {
  writeSync(output, `${JSON.stringify(line)}\n`);
}

const kept = new Map<string, KeptConnection>();
const stop = new AbortController();
// Asked to stop: no new request, every one under way is recorded.
process.once("SIGTERM", () => stop.abort());

const intervalMs = Number(values["interval-ms"]);
const running = new Set<Promise<void>>();
const startMs = systemClock.monotonicMs();
for (let n = 1; n <= count && !stop.signal.aborted && targets.length > 0; n++) {
  const target = targets[n % targets.length];
  if (target === undefined) break;
  const work = request(target, n).finally(() => running.delete(work));
  running.add(work);
  // From the start, not from the last request: a slow answer does not lower the rate.
  const waitMs = startMs + n * intervalMs - systemClock.monotonicMs();
  await systemClock.sleep(Math.max(0, waitMs), stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
}
await Promise.all(running);
for (const connection of kept.values()) connection.close();
