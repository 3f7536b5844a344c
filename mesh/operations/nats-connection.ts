// The connection to a cluster's NATS. The client's own reconnecting is off: every attempt here
// reads the certificates anew, waits with our back-off, and ends when the signal does.
//
//   connecting ─► connected ─► (lost) ─► back off ─► connecting …        until the signal aborts
//                    ├─ sends what waits in the buffer, each until a stream has taken it
//                    └─ answers what is asked
import { headers, type NatsConnection as Client, type Msg } from "nats";
import { createBackoff } from "../core/backoff.ts";
import { throwIfAborted, withTimeout, type Clock } from "../core/clock.ts";
import { MeshError, messageFromError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import {
  MESSAGE_MAX_BYTES,
  type OperationsConnection,
  type OperationsStatus,
  type OutgoingMessage,
} from "./connection.ts";
import { dialNats, type NatsWay } from "./nats-dial.ts";
import { mayBeTriedAgain, translateNatsError } from "./nats-errors.ts";
import { ensureStream, followStream, parseAck, readStream } from "./nats-streams.ts";
import { createPublishBuffer } from "./publish-buffer.ts";
import { endedWith, whileOpen } from "./work-limits.ts";

export type NatsConnectionOptions = NatsWay & {
  /** Who we are, as the server's monitoring shows it. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
};

const RECONNECT_BASE_MS = 250;
const RECONNECT_CAP_MS = 15_000;
/** A connection that lasted so long was a good one: the next attempt begins without back-off. */
const HEALTHY_MS = 10_000;
/** A stream answers within milliseconds; a disk that hangs must not hang us. */
const STORE_TIMEOUT_MS = 5_000;
const STORE_RETRY_BASE_MS = 100;
const STORE_RETRY_CAP_MS = 5_000;
/** Questions that are being answered at once; what is more is refused with one clear word. */
const ANSWERS_MAX = 64;

export function createNatsConnection(options: NatsConnectionOptions): OperationsConnection {
  return new Connection(options);
}

class Connection implements OperationsConnection {
  readonly #options: NatsConnectionOptions;
  readonly #buffer = createPublishBuffer();
  #client: Client | undefined;
  #state: OperationsStatus["state"] = "connecting";
  #lastError = "";
  #lost = 0;
  #stored = 0;
  #refused = 0;
  /** Settled and replaced with every connection that is made. */
  #connected = Promise.withResolvers<Client>();
  /** Settled and replaced whenever something is put into the buffer. */
  #waiting = Promise.withResolvers<void>();

  constructor(options: NatsConnectionOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    const backoff = createBackoff({ baseMs: RECONNECT_BASE_MS, capMs: RECONNECT_CAP_MS, random });
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      try {
        await this.#connectOnce(signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#tell(messageFromError(error), log);
      }
      if (clock.monotonicMs() - startedMs >= HEALTHY_MS) backoff.reset();
      await clock.sleep(backoff.nextMs(), signal).catch(() => {}); // Aborted: the loop ends.
    }
    this.#state = "stopped";
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#clientOrAbort(signal);
  }

  status(): OperationsStatus {
    return {
      state: this.#state,
      lastError: this.#lastError,
      lost: this.#lost,
      waiting: this.#buffer.size,
      stored: this.#stored,
      dropped: this.#buffer.dropped + this.#refused,
    };
  }

  publish(message: OutgoingMessage): void {
    if (Buffer.byteLength(message.data) > MESSAGE_MAX_BYTES) {
      this.#refused += 1;
      return;
    }
    this.#buffer.put(message);
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
  }

  async store(
    message: OutgoingMessage,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<void> {
    const what = `store a message under "${message.subject}"`;
    if (Buffer.byteLength(message.data) > MESSAGE_MAX_BYTES) {
      const reason = `it has more than ${MESSAGE_MAX_BYTES} bytes`;
      throw new MeshError("resource_exhausted", `Cannot ${what}: ${reason}`);
    }
    const { clock } = this.#options;
    const work = async (inner: AbortSignal): Promise<void> => {
      const client = await this.#clientOrAbort(inner);
      await endedWith(this.#send(client, { message, timeoutMs }), inner);
    };
    await withTimeout(work, { ms: timeoutMs, what: `Cannot ${what}`, clock, signal });
  }

  async ask(
    request: { readonly subject: string; readonly data: string; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<Buffer> {
    const { subject, data, timeoutMs } = request;
    const what = `ask "${subject}"`;
    const client = this.#require(what);
    const answer = whileOpen(client, client.request(subject, data, { timeout: timeoutMs }));
    const message = await endedWith(answer, signal).catch((error: unknown) => {
      throw translateNatsError(error, what);
    });
    return Buffer.from(message.data);
  }

  async answer(
    subject: string,
    handler: (data: Buffer) => Promise<string>,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        const client = await this.#clientOrAbort(signal);
        await this.#answerWith(client, { subject, handler, signal });
        await client.closed().catch(() => {}); // Why it ended is told by run().
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.warn("Questions cannot be answered", { reason: messageFromError(error) });
        await this.#options.clock.sleep(RECONNECT_BASE_MS, signal).catch(() => {}); // Aborted.
      }
    }
  }

  async ensureStream(
    definition: Parameters<OperationsConnection["ensureStream"]>[0],
    signal: AbortSignal,
  ): Promise<void> {
    const what = `make stream ${definition.name}`;
    const client = this.#require(what);
    const made = whileOpen(client, ensureStream(client, definition));
    await endedWith(made, signal).catch((error: unknown) => {
      throw translateNatsError(error, what);
    });
  }

  async read(
    stream: string,
    selection: Parameters<OperationsConnection["read"]>[1],
    signal: AbortSignal,
  ): ReturnType<OperationsConnection["read"]> {
    const what = `read stream ${stream}`;
    const { clock } = this.#options;
    try {
      const client = this.#require(what);
      return await whileOpen(client, readStream(client, { stream, selection, clock }, signal));
    } catch (error) {
      throw translateNatsError(error, what);
    }
  }

  async *follow(
    stream: string,
    selection: Parameters<OperationsConnection["follow"]>[1],
    signal: AbortSignal,
  ): ReturnType<OperationsConnection["follow"]> & AsyncGenerator {
    const what = `follow stream ${stream}`;
    const client = this.#require(what);
    try {
      yield* followStream(client, { stream, selection, clock: this.#options.clock }, signal);
    } catch (error) {
      // What was under way is given up with a word that says less than what happened.
      if (!client.isClosed()) throw translateNatsError(error, what);
    }
    if (!signal.aborted) {
      throw new MeshError("unavailable", `Cannot ${what} any longer: the connection has ended`);
    }
  }

  /** Resolves or rejects when the connection has ended. */
  async #connectOnce(signal: AbortSignal): Promise<void> {
    const client = await dialNats(this.#options, this.#options, signal);
    const onAbort = (): void => void client.close();
    signal.addEventListener("abort", onAbort, { once: true });
    const ended = new AbortController();
    try {
      throwIfAborted(signal);
      this.#client = client;
      this.#state = "connected";
      this.#lastError = "";
      this.#options.log.info("Operations plane is connected", { server: client.getServer() });
      this.#connected.resolve(client);
      const sending = this.#sendWaiting(client, AbortSignal.any([signal, ended.signal]));
      const reason = await client.closed();
      ended.abort("the connection has ended");
      await sending;
      if (!signal.aborted) throw reason ?? new Error("the server closed the connection");
    } finally {
      signal.removeEventListener("abort", onAbort);
      ended.abort("the connection has ended");
      this.#client = undefined;
      this.#connected = Promise.withResolvers();
      if (!signal.aborted) {
        this.#state = "connecting";
        this.#lost += 1;
      }
      await client.close();
    }
  }

  /** Resolves when the signal aborts: what waits then stays in the buffer. */
  async #sendWaiting(client: Client, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    const backoff = createBackoff({
      baseMs: STORE_RETRY_BASE_MS,
      capMs: STORE_RETRY_CAP_MS,
      random,
    });
    while (!signal.aborted) {
      const more = this.#waiting.promise;
      const message = this.#buffer.first();
      try {
        if (message === undefined) {
          await endedWith(more, signal);
          continue;
        }
        await endedWith(this.#send(client, { message, timeoutMs: STORE_TIMEOUT_MS }), signal);
        this.#buffer.remove(message);
        backoff.reset();
      } catch (error) {
        if (signal.aborted || message === undefined) return;
        const failure = translateNatsError(error, `publish under "${message.subject}"`);
        log.debug("Message is not stored", { reason: failure.message });
        if (!mayBeTriedAgain(failure)) {
          log.warn("Message is refused", { reason: failure.message });
          this.#buffer.remove(message);
          this.#refused += 1;
        }
        await clock.sleep(backoff.nextMs(), signal).catch(() => {}); // Aborted: the loop ends.
      }
    }
  }

  async #send(
    client: Client,
    { message, timeoutMs }: { message: OutgoingMessage; timeoutMs: number },
  ): Promise<void> {
    const { subject, data, id } = message;
    const carried = headers();
    carried.set("Nats-Msg-Id", id);
    const asked = client.request(subject, data, { timeout: timeoutMs, headers: carried });
    const reply = await whileOpen(client, asked).catch((error: unknown) => {
      throw translateNatsError(error, `store a message under "${subject}"`);
    });
    parseAck(Buffer.from(reply.data), subject);
    this.#stored += 1;
  }

  async #answerWith(
    client: Client,
    work: {
      readonly subject: string;
      readonly handler: (data: Buffer) => Promise<string>;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { subject, handler, signal } = work;
    let busy = 0;
    const onMessage = (message: Msg): void => {
      if (busy >= ANSWERS_MAX) {
        message.respond(JSON.stringify({ error: "Cannot answer: too many questions at once" }));
        return;
      }
      busy += 1;
      const respond = async (): Promise<void> => {
        try {
          const answer = await handler(Buffer.from(message.data));
          if (!client.isClosed()) message.respond(answer);
        } catch (error) {
          this.#options.log.warn("Question is not answered", { reason: messageFromError(error) });
        } finally {
          busy -= 1;
        }
      };
      void respond();
    };
    const subscription = client.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) onMessage(message);
        else this.#options.log.warn("Questions cannot be heard", { reason: error.message });
      },
    });
    const onAbort = (): void => subscription.unsubscribe();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await subscription.closed;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #require(what: string): Client {
    if (this.#client !== undefined) return this.#client;
    const reason = this.#lastError === "" ? "NATS is not connected yet" : this.#lastError;
    throw new MeshError("unavailable", `Cannot ${what}: ${reason}`);
  }

  #clientOrAbort(signal: AbortSignal): Promise<Client> {
    const { promise } = this.#connected;
    return this.#client === undefined ? endedWith(promise, signal) : Promise.resolve(this.#client);
  }

  /** Once for each new reason: an operations plane that is away must not fill the log. */
  #tell(reason: string, log: Logger): void {
    if (reason !== this.#lastError) log.warn("Operations plane is not connected", { reason });
    this.#lastError = reason;
  }
}
