// What waits to be published: bounded in number and bytes, the oldest dropped first and counted.
// Pure; the connection takes from it whatever it can send.
import { BUFFER_MAX_BYTES, BUFFER_MAX_MESSAGES, type OutgoingMessage } from "./connection.ts";

export interface PublishBuffer {
  put(message: OutgoingMessage): void;
  /** The oldest; it stays until it is removed or has to make room. */
  first(): OutgoingMessage | undefined;
  /** Removes it if it is still there. */
  remove(message: OutgoingMessage): void;
  readonly size: number;
  /** How many had to make room. */
  readonly dropped: number;
}

export function createPublishBuffer(
  limits: { readonly messages: number; readonly bytes: number } = {
    messages: BUFFER_MAX_MESSAGES,
    bytes: BUFFER_MAX_BYTES,
  },
): PublishBuffer {
  /** In the order in which they came. */
  const waiting = new Map<OutgoingMessage, number>();
  let bytes = 0;
  let dropped = 0;
  const remove = (message: OutgoingMessage): void => {
    bytes -= waiting.get(message) ?? 0;
    waiting.delete(message);
  };
  const first = (): OutgoingMessage | undefined => waiting.keys().next().value;
  return {
    put(message) {
      const size = Buffer.byteLength(message.data);
      waiting.set(message, size);
      bytes += size;
      while (waiting.size > limits.messages || bytes > limits.bytes) {
        const oldest = first();
        if (oldest === undefined) return;
        remove(oldest);
        dropped += 1;
      }
    },
    first,
    remove,
    get size() {
      return waiting.size;
    },
    get dropped() {
      return dropped;
    },
  };
}
