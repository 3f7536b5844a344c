// What of a policy cannot be honoured: kept with the policy, and told as a problem of its object.
import type { PolicyRefusal } from "../../../mesh/core/policy.ts";
import {
  MAX_POLICY_PATH,
  MAX_REFUSAL_MESSAGE,
  MAX_REFUSALS,
} from "../../../mesh/kvstore/records/policy.ts";
import type { Warn } from "../convert.ts";
import type { Fields } from "../fields.ts";

export class Refusals {
  readonly #warn: Warn;
  readonly #refusals: PolicyRefusal[] = [];
  #count = 0;

  constructor(warn: Warn) {
    this.#warn = warn;
  }

  /** `reason` says what it is, and what becomes of the traffic that it covers. */
  add(fields: Fields, place: { readonly name: string; readonly reason: string }): void {
    this.#count++;
    if (this.#refusals.length >= MAX_REFUSALS) return;
    const { path: inside } = fields;
    const path = printable(inside === "" ? place.name : join(inside, place.name), MAX_POLICY_PATH);
    const message = printable(place.reason, MAX_REFUSAL_MESSAGE);
    this.#refusals.push({ path, message });
    this.#warn(fields.offsetOf(place.name), `Cannot honour ${path}: ${message}`);
  }

  /** Of all, told or not. */
  get count(): number {
    return this.#count;
  }

  /** As many as a record holds. */
  list(): readonly PolicyRefusal[] {
    return this.#refusals;
  }
}

function join(path: string, name: string): string {
  return name === "" ? path : `${path}.${name}`;
}

/** It ends up in records and on terminals. */
function printable(text: string, maxLength: number): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, maxLength);
}

/** Fields that nobody reads here: what they mean cannot be honoured. */
export function unknownFields(fields: Fields, known: readonly string[]): string[] {
  return fields.names().filter((name) => !known.includes(name) && fields.has(name));
}
