// The values of heartbeats and canaries: RFC 3339 times with whole seconds, as Go writes them.
// Readers of heartbeats go by the time of receipt; the value is for people.
import { refusal, textFromRecord, type RecordSubject } from "./record-fields.ts";

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[-+]\d{2}:\d{2})$/;

export function encodeTimestamp(nowMs: number): Buffer {
  return Buffer.from(`${new Date(nowMs).toISOString().slice(0, 19)}Z`);
}

/** Milliseconds since the epoch; throws `invalid_argument` for anything but an RFC 3339 time. */
export function parseTimestamp(name: string, value: Buffer): number {
  const subject: RecordSubject = { kind: "timestamp", name };
  const text = textFromRecord(subject, value);
  const ms = RFC_3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw refusal(subject, "want a time such as 2026-01-31T12:00:00Z, got something else");
  }
  return ms;
}
