// Questions and answers as values: the asking side, and the answering side that lets nothing
// through that is not a question. An answer is `{"answer": …}`, a refusal `{"error": ONE SENTENCE}`.
import { isMeshError, MeshError, messageFromError } from "../core/errors.ts";
import type { OperationsConnection } from "./connection.ts";
import { parseQuestion } from "./parse-question.ts";
import type { AnswerTo, Question } from "./questions.ts";
import { askSubject } from "./subjects.ts";

/** Whom a question goes to: a node, or `APISERVER_NODE`. */
export interface Addressee {
  readonly cluster: string;
  readonly node: string;
}

/** What a refusal may say; more would be a way to fill somebody's screen. */
const ERROR_MAX_LENGTH = 400;

/** Answers a question that has been checked. What it throws is told to the asker in one sentence. */
export type QuestionHandler = (question: Question) => Promise<unknown>;

/**
 * Throws `unavailable` when nobody answers there, `deadline_exceeded` when nothing comes in time,
 * `conflict` when the addressee refuses; the shape of an answer is the caller's to check.
 */
export async function askQuestion<Q extends Question>(
  connection: Pick<OperationsConnection, "ask">,
  request: { readonly to: Addressee; readonly question: Q; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<AnswerTo<Q>> {
  const { to, question, timeoutMs } = request;
  const data = JSON.stringify(question);
  const reply = await connection.ask({ subject: askSubject(to), data, timeoutMs }, signal);
  return readReply(reply, to) as AnswerTo<Q>;
}

/** Answers what is asked of us until the signal aborts. */
export function serveQuestions(
  connection: Pick<OperationsConnection, "answer">,
  { place, handler }: { readonly place: Addressee; readonly handler: QuestionHandler },
  signal: AbortSignal,
): Promise<void> {
  return connection.answer(askSubject(place), (data) => replyTo(data, handler), signal);
}

async function replyTo(data: Buffer, handler: QuestionHandler): Promise<string> {
  try {
    return JSON.stringify({ answer: await handler(parseQuestion(data)) });
  } catch (error) {
    const text = isMeshError(error) ? error.message : messageFromError(error);
    return JSON.stringify({ error: text.slice(0, ERROR_MAX_LENGTH) });
  }
}

function readReply(reply: Buffer, { cluster, node }: Addressee): unknown {
  let fields: { answer?: unknown; error?: unknown };
  try {
    fields = (JSON.parse(reply.toString("utf8")) ?? {}) as typeof fields;
  } catch (cause) {
    const what = `Cannot use the answer of "${node}" in cluster "${cluster}": it is no JSON`;
    throw new MeshError("data_loss", what, { cause });
  }
  if (typeof fields.error === "string") {
    const reason = fields.error.slice(0, ERROR_MAX_LENGTH);
    throw new MeshError("conflict", `"${node}" in cluster "${cluster}" refuses: ${reason}`);
  }
  return fields.answer;
}
