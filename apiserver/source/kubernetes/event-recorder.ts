// Tells the owners of objects what is wrong with them, as Kubernetes Events on the object: each
// thing once, slowly, and never at the cost of anything else. Status tells the same.
import { createHash } from "node:crypto";
import { createBackoff } from "../../../mesh/core/backoff.ts";
import type { Clock } from "../../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../../mesh/core/errors.ts";
import type { Logger } from "../../../mesh/core/logger.ts";
import { createBell } from "../../directory-watch.ts";
import { createObject } from "../../../mesh/kubernetes/objects.ts";
import type { KubernetesTransport } from "../../../mesh/kubernetes/transport.ts";
import { apiObjectKey, type ApiObject } from "../../../mesh/kubernetes/watch-state.ts";

export interface EventRecorder {
  /** What is wrong with an object now; what is new in it is told. Empty: nothing is wrong. */
  setProblems(object: ApiObject, messages: readonly string[]): void;
  /** The object is gone. */
  forget(key: string): void;
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** A whole cluster's objects may be wrong at once; its API server has better things to do. */
const EVENT_INTERVAL_MS = 500;
/** More than this many objects with something to tell are a matter for status. */
const MAX_QUEUED = 1_000;
/** Kubernetes' own limit for the message of an Event. */
const MAX_MESSAGE = 1_024;
/** Only bounds how long a wait lasts; the bell ends it. */
const IDLE_MS = 60_000;
const BACKOFF = { baseMs: 1_000, capMs: 60_000 };
const COMPONENT = "tombolo-apiserver";

interface Telling {
  readonly object: ApiObject;
  readonly message: string;
}

export function createEventRecorder(options: {
  readonly transport: KubernetesTransport;
  /** Of the objects, which are all of one; Services if left out. */
  readonly kind?: string;
  /** Of that kind. */
  readonly apiVersion?: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}): EventRecorder {
  const { transport, kind = "Service", apiVersion = "v1", clock, random, log } = options;
  const bell = createBell();
  const backoff = createBackoff({ ...BACKOFF, random });
  /** Object → the messages that were queued or told and still hold. */
  const current = new Map<string, ReadonlySet<string>>();
  const queue = new Map<string, Telling>();

  async function tell(telling: Telling, signal: AbortSignal): Promise<void> {
    const namespace = encodeURIComponent(telling.object.metadata.namespace ?? "default");
    const path = `/api/v1/namespaces/${namespace}/events`;
    await createObject(
      transport,
      { path, body: eventBody(telling, { kind, apiVersion, nowMs: clock.nowMs() }) },
      signal,
    );
  }

  async function tellNext(signal: AbortSignal): Promise<void> {
    const [next] = queue;
    if (next === undefined) {
      await bell.wait(IDLE_MS, { clock, signal });
      return;
    }
    const [id, telling] = next;
    try {
      await tell(telling, signal);
      backoff.reset();
    } catch (error) {
      if (signal.aborted) return;
      const reason = messageFromError(error);
      const object = apiObjectKey(telling.object);
      log.warn("Event cannot be written", { kind, object, reason });
      if (isMeshError(error, "unavailable")) {
        await clock.sleep(backoff.nextMs(), signal);
        return;
      }
    }
    queue.delete(id);
    await clock.sleep(EVENT_INTERVAL_MS, signal);
  }

  function forget(key: string): void {
    for (const message of current.get(key) ?? []) queue.delete(`${key} ${message}`);
    current.delete(key);
  }

  return {
    forget,
    setProblems(object, messages) {
      const key = apiObjectKey(object);
      const before = current.get(key) ?? new Set();
      for (const message of before) {
        if (!messages.includes(message)) queue.delete(`${key} ${message}`);
      }
      for (const message of messages) {
        if (before.has(message) || queue.size >= MAX_QUEUED) continue;
        queue.set(`${key} ${message}`, { object, message });
        bell.ring();
      }
      if (messages.length === 0) current.delete(key);
      else current.set(key, new Set(messages));
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          await tellNext(signal);
        } catch (error) {
          if (!signal.aborted) throw error; // Only waits are cut short by the end.
        }
      }
    },
  };
}

/** The name follows from what is told, so that a restarted apiserver does not tell it again. */
function eventBody(
  { object, message }: Telling,
  { kind, apiVersion, nowMs }: { kind: string; apiVersion: string; nowMs: number },
): object {
  const { name, namespace, uid = "", resourceVersion } = object.metadata;
  const digest = createHash("sha256").update(`${uid} ${message}`).digest("hex").slice(0, 16);
  const now = new Date(nowMs).toISOString();
  return {
    apiVersion: "v1",
    kind: "Event",
    // What is said of an object without a namespace stands in this one.
    metadata: { name: `${name}.${digest}`, namespace: namespace ?? "default" },
    involvedObject: { apiVersion, kind, namespace, name, uid, resourceVersion },
    type: "Warning",
    reason: "InvalidSetting",
    message: message.slice(0, MAX_MESSAGE),
    source: { component: COMPONENT },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
}
