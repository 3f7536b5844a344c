// One connection that stays open beside an order's requests, to see what becomes of established
// flows: it is asked a number now and then, and replaced when it ends. With `connect` nobody would
// answer, so it only stays open.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import type { KeptFlow } from "../../../mesh/operations/questions.ts";
import { readAnswer, type CanaryTarget } from "./messages.ts";

export interface KeptConnection {
  /** Asks, if it is open; answers come as events. */
  ask(n: number): void;
  close(): void;
}

export interface KeptEvents {
  opened(): void;
  answered(answer: string): void;
  /** Once; not after `close`. */
  ended(end: "closed" | "reset"): void;
}

export type OpenKept = (target: CanaryTarget, events: KeptEvents) => KeptConnection;

export interface KeptOptions {
  readonly target: CanaryTarget;
  readonly protocol: "connect" | "echo";
  readonly timeoutMs: number;
  readonly open: OpenKept;
  readonly nowMs: () => number;
  /** Something has changed in `flows`. */
  readonly changed: () => void;
}

export interface Kept {
  readonly flows: readonly KeptFlow[];
  /** To be called now and then: asks, finds what hangs, replaces what ended. */
  tick(monotonicMs: number): void;
  /** Those that are open stay on record as open. */
  close(): void;
}

/** Often enough that a flow which hangs is seen soon, seldom enough to cost nothing. */
const ASK_EVERY_MS = 100;
/** A service that resets everything must not fill the memory: then no more are opened. */
const FLOWS_MAX = 200;

interface Current {
  readonly connection: KeptConnection;
  /** Its place in `flows`; undefined until it is open. */
  index: number | undefined;
  /** When the oldest question that has no answer was asked; undefined if all have. */
  askedMs: number | undefined;
  readonly startedMs: number;
}

export function createKept(options: KeptOptions): Kept {
  const { target, protocol, timeoutMs, nowMs, changed } = options;
  const flows: KeptFlow[] = [];
  let current: Current | undefined;
  let next = 0;
  let number = 0;

  const change = (index: number, fields: Partial<KeptFlow>): void => {
    const flow = flows[index];
    if (flow === undefined) return;
    flows[index] = { ...flow, ...fields };
    changed();
  };
  const opened = (answer: string): number => {
    flows.push({ openedAtMs: nowMs(), answer, endedAtMs: -1, end: "" });
    changed();
    return flows.length - 1;
  };

  function start(monotonicMs: number): void {
    const connection = options.open(target, {
      opened: () => {
        // UDP has no opening: it is established when it is answered.
        if (target.protocol === "tcp" && current?.connection === connection) {
          current.index = opened("");
        }
      },
      answered: (answer) => {
        if (current?.connection !== connection) return;
        current.askedMs = undefined;
        if (current.index === undefined) current.index = opened(answer);
        else if (flows[current.index]?.answer === "") change(current.index, { answer });
      },
      ended: (end) => {
        if (current?.connection !== connection) return;
        if (current.index !== undefined) change(current.index, { endedAtMs: nowMs(), end });
        current = undefined;
      },
    });
    current = { connection, index: undefined, askedMs: undefined, startedMs: monotonicMs };
  }

  return {
    flows,
    tick(monotonicMs) {
      if (monotonicMs < next) return;
      next = monotonicMs + ASK_EVERY_MS;
      if (current === undefined) {
        if (flows.length < FLOWS_MAX) start(monotonicMs);
        return;
      }
      const waitsSinceMs = current.index === undefined ? current.startedMs : current.askedMs;
      if (waitsSinceMs !== undefined && monotonicMs - waitsSinceMs > timeoutMs) {
        if (current.index !== undefined) {
          change(current.index, { endedAtMs: nowMs(), end: "hung" });
        }
        const { connection } = current;
        current = undefined;
        connection.close();
        return;
      }
      // TCP is asked once it is open; UDP opens by being asked.
      if (protocol === "connect" || (target.protocol === "tcp" && current.index === undefined)) {
        return;
      }
      current.askedMs ??= monotonicMs;
      current.connection.ask(number++);
    },
    close() {
      current?.connection.close();
      current = undefined;
    },
  };
}

/** The real thing. */
export const openKept: OpenKept = (target, events) =>
  target.protocol === "udp" ? openUdp(target, events) : openTcp(target, events);

function openTcp({ host, port }: CanaryTarget, events: KeptEvents): KeptConnection {
  const socket = connect({ host, port, noDelay: true });
  let open = true;
  let pending = "";
  const end = (how: "closed" | "reset"): void => {
    if (!open) return;
    open = false;
    events.ended(how);
  };
  socket.setEncoding("utf8");
  socket.on("connect", () => events.opened());
  socket.on("data", (chunk: string) => {
    const lines = (pending + chunk).slice(-MEMORY_CHARACTERS).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) if (open) tellAnswer(line, events);
  });
  socket.on("error", () => end("reset"));
  socket.on("close", () => end("closed"));
  return {
    ask: (n) => void socket.write(`${n}\n`),
    close() {
      open = false;
      socket.resetAndDestroy();
    },
  };
}

function openUdp({ host, port }: CanaryTarget, events: KeptEvents): KeptConnection {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  let open = true;
  let connected = false;
  const close = (): void => {
    if (!open) return;
    open = false;
    socket.close();
  };
  const reset = (): void => {
    if (!open) return;
    close();
    events.ended("reset");
  };
  socket.on("message", (message) => tellAnswer(message.toString("utf8"), events));
  socket.on("error", reset);
  socket.connect(port, host, (error?: Error) => {
    connected = true;
    if (error !== undefined) reset();
  });
  return {
    ask(n) {
      if (open && connected) {
        socket.send(`${n}\n`, (error) => {
          if (error !== null) reset();
        });
      }
    },
    close,
  };
}

/** Beyond a chunk and a line of an echo nothing is kept. */
const MEMORY_CHARACTERS = 65_536;

function tellAnswer(line: string, events: KeptEvents): void {
  const number = Number(/ (\d+)\s*$/.exec(line)?.[1] ?? "0");
  const read = readAnswer(line.trimEnd(), number);
  if ("answer" in read) events.answered(read.answer);
}
