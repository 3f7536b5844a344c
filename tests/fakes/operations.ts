// The operations plane in memory: a broker that several connections share, which can be taken away
// and given back. Passes the same contract as NATS (tests/contract/operations.ts).
import { abortedError, withTimeout, type Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import {
  MESSAGE_MAX_BYTES,
  type OperationsConnection,
  type OutgoingMessage,
  type StoredMessage,
  type StreamDefinition,
  type StreamSelection,
} from "../../mesh/operations/connection.ts";
import { createPublishBuffer } from "../../mesh/operations/publish-buffer.ts";

interface Stream {
  definition: StreamDefinition;
  messages: StoredMessage[];
  readonly ids: Set<string>;
  last: number;
}

type Handler = (data: Buffer) => Promise<string>;

export class MemoryBroker {
  readonly streams = new Map<string, Stream>();
  readonly handlers = new Map<string, Set<Handler>>();
  readonly #clock: Clock;
  #up = true;
  #changed = Promise.withResolvers<void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get isUp(): boolean {
    return this.#up;
  }

  set isUp(up: boolean) {
    this.#up = up;
    this.#ring();
  }

  /** Resolves at the next change of anything. */
  changed(): Promise<void> {
    return this.#changed.promise;
  }

  #ring(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  store(message: OutgoingMessage): void {
    const stream = [...this.streams.values()].find(({ definition }) =>
      definition.subjects.some((pattern) => matches(pattern, message.subject)),
    );
    if (stream === undefined) {
      const what = `Cannot store a message under "${message.subject}"`;
      throw new MeshError("unavailable", `${what}: nobody answers there`);
    }
    const data = Buffer.from(message.data);
    if (data.length > stream.definition.maxMessageBytes) {
      const what = `Cannot store a message under "${message.subject}"`;
      throw new MeshError("invalid_argument", `${what}: message size exceeds maximum allowed`);
    }
    if (stream.ids.has(message.id)) return;
    stream.ids.add(message.id);
    stream.last += 1;
    const { subject } = message;
    stream.messages.push({
      subject,
      data,
      sequence: stream.last,
      timeMs: this.#clock.nowMs(),
    });
    const same = stream.messages.filter((stored) => stored.subject === subject);
    const tooMany = same.slice(0, -stream.definition.maxMessagesPerSubject);
    stream.messages = stream.messages.filter((stored) => !tooMany.includes(stored));
    this.#ring();
  }
}

/** A pattern of NATS: `*` is one token, `>` all that follow. */
export function matches(pattern: string, subject: string): boolean {
  const [wanted, given] = [pattern.split("."), subject.split(".")];
  for (const [index, token] of wanted.entries()) {
    if (token === ">") return given.length > index;
    if (given[index] === undefined || (token !== "*" && token !== given[index])) return false;
  }
  return wanted.length === given.length;
}

export function createMemoryConnection(broker: MemoryBroker): OperationsConnection {
  const buffer = createPublishBuffer();
  const counts = { lost: 0, stored: 0, refused: 0 };
  let state: "connecting" | "connected" | "stopped" = "connecting";
  let wake = Promise.withResolvers<void>();
  const require = (what: string): void => {
    if (state === "connected" && broker.isUp) return;
    throw new MeshError("unavailable", `Cannot ${what}: the connection is lost`);
  };
  const streamOf = (name: string): Stream => {
    require(`read stream ${name}`);
    const stream = broker.streams.get(name);
    if (stream !== undefined) return stream;
    throw new MeshError("not_found", `Cannot read stream ${name}: stream not found`);
  };
  const flush = (): void => {
    for (let message = buffer.first(); message !== undefined; message = buffer.first()) {
      try {
        broker.store(message);
        counts.stored += 1;
      } catch (error) {
        if ((error as MeshError).code === "unavailable") return;
        counts.refused += 1;
      }
      buffer.remove(message);
    }
  };
  const read = (name: string, selection: StreamSelection): StoredMessage[] => {
    const { filter, sinceMs = 0, last } = selection;
    const found = streamOf(name).messages.filter(
      ({ subject, timeMs }) => matches(filter, subject) && timeMs >= sinceMs,
    );
    return last === undefined ? found : found.slice(-last);
  };
  return {
    async run(signal) {
      while (!signal.aborted) {
        const changed = broker.changed();
        if (state === "connected" && !broker.isUp) counts.lost += 1;
        state = broker.isUp ? "connected" : "connecting";
        if (state === "connected") flush();
        wake.resolve();
        const more = (wake = Promise.withResolvers<void>()).promise;
        await Promise.race([changed, more, untilAborted(signal)]);
      }
      state = "stopped";
    },
    async ready(signal) {
      while (state !== "connected") {
        await Promise.race([wake.promise, untilAborted(signal)]);
        if (signal.aborted) throw abortedError(signal);
      }
    },
    status: () => ({
      state,
      lastError: state === "connecting" ? "the broker is away" : "",
      lost: counts.lost,
      waiting: buffer.size,
      stored: counts.stored,
      dropped: buffer.dropped + counts.refused,
    }),
    publish(message) {
      if (Buffer.byteLength(message.data) > MESSAGE_MAX_BYTES) {
        counts.refused += 1;
        return;
      }
      buffer.put(message);
      wake.resolve();
    },
    async store(message, { timeoutMs, signal }) {
      const what = `Cannot store a message under "${message.subject}"`;
      if (Buffer.byteLength(message.data) > MESSAGE_MAX_BYTES) {
        throw new MeshError("resource_exhausted", `${what}: it is too large`);
      }
      const work = async (inner: AbortSignal): Promise<void> => {
        while (!broker.isUp || state !== "connected") {
          await Promise.race([broker.changed(), wake.promise, untilAborted(inner)]);
          if (inner.aborted) throw abortedError(inner);
        }
        broker.store(message);
        counts.stored += 1;
      };
      await withTimeout(work, { ms: timeoutMs, what, clock: broker.clock, signal });
    },
    async ask({ subject, data, timeoutMs }, signal) {
      require(`ask "${subject}"`);
      const [handler] = broker.handlers.get(subject) ?? [];
      if (handler === undefined) {
        throw new MeshError("unavailable", `Cannot ask "${subject}": nobody answers there`);
      }
      const answering = handler(Buffer.from(data)).catch(() => new Promise<never>(() => {}));
      return withTimeout(
        async (inner) => {
          const answer = await Promise.race([answering, untilAborted(inner)]);
          if (answer === undefined) throw abortedError(inner);
          return Buffer.from(answer);
        },
        { ms: timeoutMs, what: `Cannot ask "${subject}"`, clock: broker.clock, signal },
      );
    },
    async answer(subject, handler, signal) {
      const handlers = broker.handlers.get(subject) ?? new Set();
      broker.handlers.set(subject, handlers);
      handlers.add(handler);
      await untilAborted(signal);
      handlers.delete(handler);
    },
    async ensureStream(definition) {
      require(`make stream ${definition.name}`);
      const stream = broker.streams.get(definition.name);
      if (stream !== undefined) stream.definition = definition;
      else
        broker.streams.set(definition.name, { definition, messages: [], ids: new Set(), last: 0 });
    },
    read: async (stream, selection) => read(stream, selection),
    async *follow(name, selection, signal) {
      let known = streamOf(name).last;
      for (const message of read(name, selection)) yield message;
      while (!signal.aborted) {
        const changed = broker.changed();
        const fresh = streamOf(name).messages.filter(
          ({ sequence, subject }) => sequence > known && matches(selection.filter, subject),
        );
        known = streamOf(name).last;
        for (const message of fresh) yield message;
        await Promise.race([changed, untilAborted(signal)]);
      }
    },
  };
}

function untilAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
