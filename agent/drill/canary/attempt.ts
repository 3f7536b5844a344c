// One numbered request: a connection or a datagram of its own, and what came of it. Ends exactly
// once. Connections are ended with a reset: at hundreds a second, a minute of TIME_WAIT each would
// use up the ports.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { readAnswer, type CanaryTarget } from "./messages.ts";

export interface Outcome {
  /** "" without an answer. */
  readonly answer: string;
  readonly error: string;
}

export interface AttemptOrder {
  readonly target: CanaryTarget;
  readonly protocol: "connect" | "echo";
  readonly n: number;
}

export interface AttemptEvents {
  /** The answer or the error; called once, and never after `close`. */
  settled(outcome: Outcome): void;
  /** One more answer after the first; never after `close`. */
  duplicate(): void;
}

export interface Attempt {
  /** Gives the socket back; whatever comes later is not heard. */
  close(): void;
}

/** An echo's line is a name and a number: who sends more is no echo. */
const ANSWER_MAX_CHARACTERS = 1_024;

export type StartAttempt = (order: AttemptOrder, events: AttemptEvents) => Attempt;

export function startAttempt(order: AttemptOrder, events: AttemptEvents): Attempt {
  const answers = new Answers(order.n, events);
  return order.target.protocol === "udp" ? startUdp(order, answers) : startTcp(order, answers);
}

/** Tells the first answer or error, and counts answers after it. */
class Answers {
  readonly #n: number;
  readonly #events: AttemptEvents;
  #settled = false;
  #closed = false;

  constructor(n: number, events: AttemptEvents) {
    this.#n = n;
    this.#events = events;
  }

  line(text: string): void {
    const read = readAnswer(text, this.#n);
    if (!this.#settled) this.#settle({ answer: "", error: "", ...read });
    else if (!this.#closed) this.#events.duplicate();
  }

  connected(): void {
    this.#settle({ answer: "", error: "" });
  }

  failed(error: string): void {
    this.#settle({ answer: "", error });
  }

  close(): void {
    this.#closed = true;
  }

  #settle(outcome: Outcome): void {
    if (this.#settled || this.#closed) return;
    this.#settled = true;
    this.#events.settled(outcome);
  }
}

function startTcp({ target, protocol, n }: AttemptOrder, answers: Answers): Attempt {
  const { host, port } = target;
  const socket = connect({ host, port, noDelay: true });
  let pending = "";
  socket.on("connect", () => {
    if (protocol === "connect") answers.connected();
    else socket.write(`${n}\n`);
  });
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    const lines = (pending + chunk).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) answers.line(line);
    if (pending.length > ANSWER_MAX_CHARACTERS) answers.failed("the answer is no line of an echo");
  });
  socket.on("error", (error) => answers.failed(reasonOf(error)));
  socket.on("close", () => answers.failed("closed without an answer"));
  return {
    close() {
      answers.close();
      socket.resetAndDestroy();
    },
  };
}

function startUdp({ target, n }: AttemptOrder, answers: Answers): Attempt {
  const socket = createSocket(target.host.includes(":") ? "udp6" : "udp4");
  let closed = false;
  socket.on("message", (message) => answers.line(message.toString("utf8").trimEnd()));
  socket.on("error", (error) => answers.failed(reasonOf(error)));
  // Connected, so that a refusal is reported and only the asked one can answer.
  socket.connect(target.port, target.host, (error?: Error) => {
    if (closed) return;
    if (error !== undefined) answers.failed(reasonOf(error));
    else
      socket.send(`${n}\n`, (failure) => {
        if (failure !== null) answers.failed(reasonOf(failure));
      });
  });
  return {
    close() {
      if (closed) return;
      closed = true;
      answers.close();
      socket.close();
    },
  };
}

function reasonOf(error: NodeJS.ErrnoException): string {
  return error.code ?? error.message;
}
