// `operations/drains.json`: the drains that were ordered in one cluster, about itself and about
// others. `mesh` writes it, the cluster's apiserver follows it.
import { MeshError } from "../core/errors.ts";
import { drainFromFields, MAX_DRAINS, type DrainRecord } from "../kvstore/records/drain.ts";
import { openRecord } from "../kvstore/records/record-fields.ts";

/** Of the file's layout; another one was written by a newer `mesh`. */
const VERSION = 1;

export function encodeDrainFile(drains: readonly DrainRecord[]): string {
  return `${JSON.stringify({ version: VERSION, drains }, undefined, 2)}\n`;
}

/** Throws `invalid_argument` naming the file and the field; `path` only appears in messages. */
export function parseDrainFile(text: string, path: string): DrainRecord[] {
  const fields = openRecord({ kind: "drains of", name: path }, Buffer.from(text));
  fields.exactly("version", VERSION);
  const drains = fields.objects("drains", MAX_DRAINS).map(drainFromFields);
  const ids = new Set<string>();
  for (const { id } of drains) {
    if (ids.has(id)) {
      throw new MeshError(
        "invalid_argument",
        `Cannot use drains of "${path}": id "${id}" is there twice, want every id once`,
      );
    }
    ids.add(id);
  }
  return drains;
}
