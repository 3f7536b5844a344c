// What holds for the parser of every record, whatever it is fed: it returns something or throws
// `invalid_argument` with a short, printable message that names the record, and soon.
import { expect } from "@jest/globals";
import { isMeshError } from "../../../../../mesh/core/errors.ts";
import { REFUSAL_MAX_LENGTH } from "../../../../../mesh/kvstore/records/record-fields.ts";

/** Generous for a busy machine; a parser that goes quadratic takes minutes. */
const LIMIT_MS = 5_000;

/** Returns what `parse` returned, or undefined if it refused in the proper way. */
export function parsedOrRefused<T>(parse: () => T): T | undefined {
  const start = performance.now();
  try {
    return parse();
  } catch (error) {
    if (!isMeshError(error, "invalid_argument")) throw error;
    expect(error.message.length).toBeLessThanOrEqual(REFUSAL_MAX_LENGTH);
    expect(error.message).toMatch(/^Cannot use [\x20-\x7e]*$/);
    return undefined;
  } finally {
    expect(performance.now() - start).toBeLessThan(LIMIT_MS);
  }
}
