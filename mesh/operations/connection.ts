// What the operations plane offers to whoever holds a connection to it. NATS stands behind it in
// nats-connection.ts, a map in memory in the tests. It may be away at any time, for ever: what is
// published waits in a bounded buffer, what is asked has a deadline, and nothing else waits for it.

/** Larger ones are refused before they are sent; NATS is given a little more (its headers). */
export const MESSAGE_MAX_BYTES = 4 * 1024 * 1024;
/** What waits while NATS is away: some hours of a restless mesh, a few MB at most. */
export const BUFFER_MAX_MESSAGES = 1_000;
export const BUFFER_MAX_BYTES = 8 * 1024 * 1024;

/** Something to be kept in a stream: the id tells a message that is sent twice from two. */
export interface OutgoingMessage {
  readonly subject: string;
  readonly data: string;
  readonly id: string;
}

export interface StoredMessage {
  readonly subject: string;
  readonly data: Buffer;
  /** Grows by at least one a message within a stream. */
  readonly sequence: number;
  /** When the stream took it, milliseconds since 1970. */
  readonly timeMs: number;
}

/** A stream as it should be; one that is there with other limits is changed. */
export interface StreamDefinition {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  readonly maxMessageBytes: number;
  /** Of one subject; what is older goes first. Nobody's flood shall push out everybody else's. */
  readonly maxMessagesPerSubject: number;
}

/** Which messages of a stream; in the order of the stream. */
export interface StreamSelection {
  /** A subject, or a pattern of NATS. */
  readonly filter: string;
  /** Only what came after this wall-clock time. */
  readonly sinceMs?: number;
  /** Only the last so many; all that the stream holds without it. */
  readonly last?: number;
}

export interface OperationsStatus {
  readonly state: "connecting" | "connected" | "stopped";
  /** Why the last attempt failed or the last connection ended; "" while connected. */
  readonly lastError: string;
  /** How often a connection was lost. */
  readonly lost: number;
  /** Messages that wait to be sent. */
  readonly waiting: number;
  /** Messages that were stored. */
  readonly stored: number;
  /** Messages that were given up: the buffer was full, or they were refused. */
  readonly dropped: number;
}

export interface OperationsConnection {
  /** Stays connected, with back-off, until the signal aborts. Rejects never. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when there is a connection. */
  ready(signal: AbortSignal): Promise<void>;
  status(): OperationsStatus;

  /**
   * Never throws, never waits: sent when there is a connection, again until a stream has taken it;
   * of what does not fit into the buffer the oldest is dropped and counted.
   */
  publish(message: OutgoingMessage): void;
  /** Resolves when a stream has taken it. Throws `unavailable`, `deadline_exceeded` and so on. */
  store(
    message: OutgoingMessage,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<void>;

  /** Throws `unavailable` when nobody answers there, `deadline_exceeded` when no answer comes. */
  ask(
    request: { readonly subject: string; readonly data: string; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<Buffer>;
  /** Answers what is asked on a subject, over all interruptions, until the signal aborts. */
  answer(
    subject: string,
    handler: (data: Buffer) => Promise<string>,
    signal: AbortSignal,
  ): Promise<void>;

  ensureStream(definition: StreamDefinition, signal: AbortSignal): Promise<void>;
  /** What a stream holds now. Throws `not_found` without such a stream, `unavailable`. */
  read(stream: string, selection: StreamSelection, signal: AbortSignal): Promise<StoredMessage[]>;
  /** The same, then what comes, until the signal aborts; ends with an error when NATS is lost. */
  follow(
    stream: string,
    selection: StreamSelection,
    signal: AbortSignal,
  ): AsyncIterable<StoredMessage>;
}
