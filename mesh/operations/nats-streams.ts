// What JetStream is used for: streams with limits, reading one from some time on, following it. All
// within one connection; when that ends, so does everything here.
import {
  consumerOpts,
  millis,
  nanos,
  RetentionPolicy,
  StorageType,
  type JetStreamSubscription,
  type JsMsg,
  type NatsConnection as Client,
  type StreamUpdateConfig,
} from "nats";
import { abortedError, withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { StoredMessage, StreamDefinition, StreamSelection } from "./connection.ts";
import { translateNatsError } from "./nats-errors.ts";

/** Two streams of 64 MB are read in well below a second; longer, and NATS does not answer. */
const READ_TIMEOUT_MS = 10_000;
/** How far apart two sendings of one message are still noticed. JetStream keeps ids in memory. */
const DUPLICATE_WINDOW_MS = 10 * 60_000;

interface Reading {
  readonly stream: string;
  readonly selection: StreamSelection;
  readonly clock: Clock;
}

/** JetStream's answer to a message that it was asked to keep. Throws if it did not. */
export function parseAck(data: Buffer, subject: string): void {
  let answer: { error?: { code?: number; description?: string }; stream?: string };
  try {
    answer = (JSON.parse(data.toString()) ?? {}) as typeof answer;
  } catch {
    answer = {};
  }
  if (answer.error === undefined && typeof answer.stream === "string") return;
  const { code = 400, description = "it answers something else than a stream" } =
    answer.error ?? {};
  throw new MeshError(
    code >= 500 ? "unavailable" : "invalid_argument",
    `Cannot store a message under "${subject}": ${description}`,
  );
}

/** Makes the stream, or gives one that is there these limits. */
export async function ensureStream(client: Client, wanted: StreamDefinition): Promise<void> {
  const config: StreamUpdateConfig = {
    description: "Tombolo's",
    subjects: [...wanted.subjects],
    max_age: nanos(wanted.maxAgeMs),
    max_bytes: wanted.maxBytes,
    max_msg_size: wanted.maxMessageBytes,
    max_msgs_per_subject: wanted.maxMessagesPerSubject,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
  } as StreamUpdateConfig;
  const manager = await client.jetstreamManager({ checkAPI: false });
  try {
    await manager.streams.info(wanted.name);
  } catch (error) {
    if (!isMeshError(translateNatsError(error, "look"), "not_found")) throw error;
    await manager.streams.add({
      ...config,
      name: wanted.name,
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
    });
    return;
  }
  await manager.streams.update(wanted.name, config);
}

/** What the stream holds now. */
export async function readStream(
  client: Client,
  reading: Reading,
  signal: AbortSignal,
): Promise<StoredMessage[]> {
  const { stream, selection, clock } = reading;
  const work = async (inner: AbortSignal): Promise<StoredMessage[]> => {
    const found: StoredMessage[] = [];
    const { subscription, isEmpty } = await subscribe(client, { stream, ...selection });
    const release = endWith(subscription, inner);
    try {
      if (isEmpty) return found;
      for await (const message of subscription) {
        found.push(storedMessage(message));
        if (selection.last !== undefined && found.length > selection.last) found.shift();
        if (message.info.pending === 0) return found;
      }
    } finally {
      release();
    }
    if (inner.aborted) throw abortedError(inner);
    throw new MeshError("unavailable", `Cannot read stream ${stream}: the connection has ended`);
  };
  const what = `Cannot read stream ${stream}`;
  return withTimeout(work, { ms: READ_TIMEOUT_MS, what, clock, signal });
}

/** Ends when the signal aborts or the connection ends. */
export async function* followStream(
  client: Client,
  reading: Reading,
  signal: AbortSignal,
): AsyncGenerator<StoredMessage> {
  const { stream, selection } = reading;
  const manager = await client.jetstreamManager({ checkAPI: false });
  // Looked up first: what comes while the past is read is found twice and told once.
  let known = (await manager.streams.info(stream)).state.last_seq;
  for (const message of await readStream(client, reading, signal)) {
    known = Math.max(known, message.sequence);
    yield message;
  }
  const from = { stream, filter: selection.filter, afterSequence: known };
  const { subscription } = await subscribe(client, from);
  const release = endWith(subscription, signal);
  try {
    for await (const message of subscription) yield storedMessage(message);
  } finally {
    release();
  }
}

async function subscribe(
  client: Client,
  place: {
    readonly stream: string;
    readonly filter: string;
    readonly sinceMs?: number;
    readonly afterSequence?: number;
  },
): Promise<{ readonly subscription: JetStreamSubscription; readonly isEmpty: boolean }> {
  const options = consumerOpts();
  options.orderedConsumer();
  options.bindStream(place.stream);
  if (place.afterSequence !== undefined) options.startSequence(place.afterSequence + 1);
  else if (place.sinceMs !== undefined) options.startTime(new Date(place.sinceMs));
  else options.deliverAll();
  const subscription = await client.jetstream({ checkAPI: false }).subscribe(place.filter, options);
  // Some may have been delivered by now, which pend no more.
  const { num_pending: pending, delivered } = await subscription.consumerInfo();
  return { subscription, isEmpty: pending === 0 && delivered.consumer_seq === 0 };
}

function endWith(subscription: JetStreamSubscription, signal: AbortSignal): () => void {
  const end = (): void => subscription.unsubscribe();
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  return () => {
    signal.removeEventListener("abort", end);
    end();
  };
}

function storedMessage(message: JsMsg): StoredMessage {
  return {
    subject: message.subject,
    data: Buffer.from(message.data),
    sequence: message.seq,
    timeMs: millis(message.info.timestampNanos),
  };
}
