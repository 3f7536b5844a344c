// An event as it came out of a stream: checked against the subject that it stood under, because
// that is what the server has checked against who sent it.
import { MeshError } from "../core/errors.ts";
import { EVENT_KINDS, EVENT_MAX_BYTES, EVENT_SEVERITIES, type MeshEvent } from "./event.ts";
import { ReceivedObject } from "./received-json.ts";
import { partsOfEventSubject } from "./subjects.ts";

const NAME = { maxLength: 300 } as const;
const YEAR_3000_MS = 32_503_680_000_000;

/** Throws `invalid_argument` for what is no event, or says that it comes from somebody else. */
export function parseEvent({ subject, data }: { subject: string; data: Buffer }): MeshEvent {
  const fields = ReceivedObject.parse(data, { what: "event", maxBytes: EVENT_MAX_BYTES });
  const event: MeshEvent = {
    id: fields.text("id", { maxLength: 64 }),
    timeMs: fields.number("timeMs", { min: 0, max: YEAR_3000_MS }),
    cluster: fields.text("cluster", NAME),
    node: fields.text("node", NAME),
    kind: fields.choice("kind", EVENT_KINDS),
    severity: fields.choice("severity", EVENT_SEVERITIES),
    subject: fields.text("subject", NAME),
    from: fields.text("from", NAME),
    to: fields.text("to", NAME),
    text: fields.text("text", { maxLength: 4_096 }),
    evidence: fields.figures("evidence", { maxEntries: 64, maxLength: 1_024 }),
  };
  const said = partsOfEventSubject(subject);
  if (said?.cluster !== event.cluster || said.kind !== event.kind) {
    throw new MeshError(
      "invalid_argument",
      "Cannot use event: it names another cluster or kind than it was sent under",
    );
  }
  return event;
}
