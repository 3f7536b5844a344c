// All watches of a connection over one gRPC stream: creating, cancelling and telling their
// responses apart. What a watch means for its reader is etcd-watch.ts's business.
//
// etcd3's own Watcher is not used. It resumes from the revision in a response's header, which
// for a watch that is still catching up lies beyond its events (they are lost); it drops a watch
// after compaction without saying from where to go on; it attaches one watch for each round
// trip; and it has no bound on what it buffers.
//
// Back-pressure: a watch whose reader is slow is cancelled when its buffer is full ("lagging")
// and started again from the last revision that was read, once the buffer is empty. The stream
// itself is never paused, so one slow reader does not hold up the others, and etcd's history is
// the queue. If that is compacted meanwhile, the reader gets a new list.
import type { IWatchRequest } from "etcd3";
import { isMeshError, MeshError } from "../core/errors.ts";
import { meshErrorFromCancelReason, meshErrorFromGrpc } from "./errors.ts";
import type { EtcdConnection, EtcdStream } from "./etcd-connection.ts";
import { rangeEndOfPrefix } from "./etcd-list.ts";
import { pinFromHeader, type EtcdPin, type EtcdWitness, type ResponseHeader } from "./etcd-pin.ts";
import { HEARTBEAT_KEY } from "./keys.ts";
import type { WatchTarget } from "./store.ts";

/** What one slow reader may hold: some ten thousand small events. */
const WATCH_BUFFER_BYTES = 4 * 1024 * 1024;
/** What all slow readers of a connection may hold together. */
const STREAM_BUFFER_BYTES = 64 * 1024 * 1024;
/** What an event costs beyond its key and value. */
const EVENT_OVERHEAD_BYTES = 128;
const PROBE_TIMEOUT_MS = 5_000;

export interface RawEvent {
  readonly deleted: boolean;
  readonly key: string;
  readonly value: Buffer;
  readonly revision: bigint;
}

export type WatchSignal =
  /** etcd has accepted the watch; `pin` is where it stood then. */
  | { readonly kind: "created"; readonly pin: EtcdPin }
  | { readonly kind: "events"; readonly events: readonly RawEvent[]; readonly pin: EtcdPin }
  /** Nothing will come any more that is not newer than the pin's revision. */
  | { readonly kind: "progress"; readonly pin: EtcdPin };

/** Why a subscription ended; an interrupted one rejects instead. */
export type WatchEnd = "compacted" | "lagging" | "aborted";

export interface WatchStream {
  /** Rejects with `cluster_changed` if the witness's epoch is not the given one any more. */
  subscribe(
    options: { target: WatchTarget; startRevision: bigint; epoch: number },
    signal: AbortSignal,
  ): AsyncGenerator<WatchSignal, WatchEnd>;
  /** Ends the stream; its watches reject with `unavailable` and are opened again by their readers. */
  reset(reason: MeshError): void;
}

interface WatchResponse {
  readonly header: ResponseHeader;
  readonly watch_id: string;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: string;
  readonly cancel_reason: string;
  readonly events: readonly {
    readonly type: "Put" | "Delete";
    readonly kv: { key: Buffer; value: Buffer; mod_revision: string };
  }[];
}

interface OpenStream {
  readonly stream: EtcdStream<IWatchRequest, WatchResponse>;
  readonly subscriptions: Map<string, Subscription>;
  /** In the order of their requests, in which etcd confirms them. */
  readonly unconfirmed: string[];
  nextId: number;
}

export function createWatchStream(options: {
  connection: EtcdConnection;
  witness: EtcdWitness;
}): WatchStream {
  const { connection, witness } = options;
  const lifetime = new AbortController();
  const budget = { bytes: 0 };
  let opening: Promise<OpenStream> | undefined;

  function open(): Promise<OpenStream> {
    if (opening !== undefined) return opening;
    const attempt = openStream();
    opening = attempt;
    attempt.catch(() => {
      if (opening === attempt) opening = undefined; // Every subscriber has the error.
    });
    return attempt;
  }

  async function openStream(): Promise<OpenStream> {
    await recognise(options, lifetime.signal);
    const stream = await connection.openStream<IWatchRequest, WatchResponse>(
      { service: "Watch", method: "watch" },
      lifetime.signal,
    );
    const opened: OpenStream = {
      stream,
      subscriptions: new Map(),
      unconfirmed: [],
      nextId: 1,
    };
    stream.on("data", (response) => dispatch(opened, response));
    stream.on("error", (error) => fail(opened, meshErrorFromGrpc(error, "watch")));
    stream.on("end", () =>
      fail(opened, new MeshError("unavailable", "Cannot watch: etcd has closed the stream")),
    );
    return opened;
  }

  function fail(opened: OpenStream, error: MeshError): void {
    void opening?.then(
      (now) => {
        if (now === opened) opening = undefined;
      },
      () => {}, // Another attempt has failed already.
    );
    for (const subscription of opened.subscriptions.values()) subscription.fail(error);
    opened.subscriptions.clear();
    opened.stream.cancel();
  }

  return {
    async *subscribe({ target, startRevision, epoch }, signal) {
      if (signal.aborted) return "aborted";
      const opened = await open();
      if (witness.epoch !== epoch)
        throw new MeshError(
          "cluster_changed",
          `Cannot go on watching "${target.prefix}": another etcd answers, or one that lost writes`,
        );
      const id = String(opened.nextId++);
      const subscription = new Subscription(target.prefix, budget);
      opened.subscriptions.set(id, subscription);
      opened.unconfirmed.push(id);
      opened.stream.write({
        create_request: {
          key: Buffer.from(target.prefix),
          range_end: rangeEndOfPrefix(target.prefix, target.exact),
          start_revision: startRevision.toString(),
          progress_notify: true,
          // Responses above etcd's own request limit come in parts.
          fragment: true,
          watch_id: id,
        },
      } as IWatchRequest);
      try {
        return yield* subscription.signals(signal);
      } finally {
        subscription.release();
        cancel(opened, id);
      }
    },
    reset(reason) {
      void opening?.then(
        (opened) => fail(opened, reason),
        () => {}, // There was no stream to reset.
      );
      opening = undefined;
    },
  };
}

/**
 * Asks for the last write that we know of, at its revision. The read is linearizable: after it
 * the member has everything that any member has shown us, so a revision that seems to go back
 * really does. What it finds out is in the witness's epoch; it rejects only when etcd does not
 * answer.
 */
async function recognise(
  options: { connection: EtcdConnection; witness: EtcdWitness },
  signal: AbortSignal,
): Promise<void> {
  const { witness } = options;
  const { write, epoch } = witness;
  try {
    const { pin, found } = await probe(options.connection, { write, signal });
    witness.recognise(pin);
    if (write !== undefined && found !== undefined && found !== write.revision)
      witness.changed(pin);
  } catch (error) {
    // An etcd that has not come as far as the write that we ask for.
    if (isMeshError(error, "cluster_changed")) {
      if (witness.epoch === epoch) witness.changed(undefined);
      return;
    }
    // The answer itself is not needed; an etcd that refuses to give it has answered.
    if (!isMeshError(error, "permission_denied")) throw error;
  }
}

/** `found`: the revision of the write as etcd has it, 0 if it has none, undefined if forgotten. */
async function probe(
  connection: EtcdConnection,
  options: { write: { key: string; revision: bigint } | undefined; signal: AbortSignal },
): Promise<{ pin: EtcdPin; found: bigint | undefined }> {
  const { write, signal } = options;
  try {
    const response = await connection.call<{
      header: ResponseHeader;
      kvs: readonly { mod_revision: string }[];
    }>(
      {
        service: "KV",
        method: "range",
        request: {
          key: Buffer.from(write?.key ?? HEARTBEAT_KEY),
          revision: (write?.revision ?? 0n).toString(),
          keys_only: true,
        },
        timeoutMs: PROBE_TIMEOUT_MS,
        doing: "reach etcd",
      },
      signal,
    );
    const found = write === undefined ? undefined : BigInt(response.kvs[0]?.mod_revision ?? 0);
    return { pin: pinFromHeader(response.header), found };
  } catch (error) {
    if (write === undefined || !isMeshError(error, "compacted")) throw error;
    return probe(connection, { write: undefined, signal });
  }
}

function dispatch(opened: OpenStream, response: WatchResponse): void {
  // A refused creation may carry no id: it then answers the oldest request that is open.
  const confirmed = response.created ? opened.unconfirmed.shift() : undefined;
  const id = response.watch_id === "-1" ? confirmed : response.watch_id;
  const subscription = id === undefined ? undefined : opened.subscriptions.get(id);
  if (id === undefined || subscription === undefined) return; // Cancelled while this was under way.
  if (response.canceled) {
    opened.subscriptions.delete(id);
    if (response.compact_revision !== "0") subscription.end("compacted");
    else
      subscription.fail(
        meshErrorFromCancelReason(response.cancel_reason, `watch "${subscription.prefix}"`),
      );
    return;
  }
  const pin = pinFromHeader(response.header);
  if (response.created) subscription.push({ kind: "created", pin }, EVENT_OVERHEAD_BYTES);
  else if (response.events.length === 0)
    subscription.push({ kind: "progress", pin }, EVENT_OVERHEAD_BYTES);
  else {
    let bytes = 0;
    const events: RawEvent[] = [];
    for (const { type, kv } of response.events) {
      bytes += kv.key.length + kv.value.length + EVENT_OVERHEAD_BYTES;
      events.push({
        deleted: type === "Delete",
        key: kv.key.toString(),
        value: Buffer.from(kv.value), // A copy: the original is a window into the whole message.
        revision: BigInt(kv.mod_revision),
      });
    }
    if (!subscription.push({ kind: "events", events, pin }, bytes)) cancel(opened, id);
  }
}

function cancel(opened: OpenStream, id: string): void {
  if (!opened.subscriptions.delete(id)) return;
  opened.stream.write({ cancel_request: { watch_id: id } });
}

class Subscription {
  readonly prefix: string;
  readonly #budget: { bytes: number };
  #queue: WatchSignal[] = [];
  #bytes = 0;
  #outcome: { end: WatchEnd } | { error: MeshError } | undefined;
  #wake: (() => void) | undefined;

  constructor(prefix: string, budget: { bytes: number }) {
    this.prefix = prefix;
    this.#budget = budget;
  }

  /** False if the buffer is full: nothing more may be pushed, and the watch is to be cancelled. */
  push(signal: WatchSignal, bytes: number): boolean {
    if (this.#outcome !== undefined) return false;
    const full =
      this.#bytes + bytes > WATCH_BUFFER_BYTES || this.#budget.bytes + bytes > STREAM_BUFFER_BYTES;
    // One response is taken whatever its size, or a large one could never be delivered.
    if (full && this.#queue.length > 0) {
      this.end("lagging");
      return false;
    }
    this.#queue.push(signal);
    this.#bytes += bytes;
    this.#budget.bytes += bytes;
    this.#wake?.();
    return true;
  }

  end(end: WatchEnd): void {
    this.#outcome ??= { end };
    this.#wake?.();
  }

  fail(error: MeshError): void {
    this.#outcome ??= { error };
    this.#wake?.();
  }

  release(): void {
    this.#outcome ??= { end: "aborted" };
    this.#budget.bytes -= this.#bytes;
    this.#bytes = 0;
    this.#queue = [];
  }

  /** Delivers what is queued before the end, except when the reader itself has gone. */
  async *signals(signal: AbortSignal): AsyncGenerator<WatchSignal, WatchEnd> {
    const onAbort = (): void => this.end("aborted");
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (;;) {
        if (signal.aborted) return "aborted";
        if (this.#queue.length > 0) {
          const queue = this.#queue;
          this.#queue = [];
          this.#budget.bytes -= this.#bytes;
          this.#bytes = 0;
          for (const item of queue) yield item;
        } else if (this.#outcome !== undefined) {
          if ("error" in this.#outcome) throw this.#outcome.error;
          return this.#outcome.end;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
