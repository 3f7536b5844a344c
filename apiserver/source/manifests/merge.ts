// Many files, one set of tables: which file's object is in force when several name the same one.
// The first file by name wins and the others are reported; when it lets go, the next takes over.
import {
  objectKey,
  putObject,
  type SourceObject,
  type SourceProblem,
  type WritableSource,
} from "../objects.ts";
import type { PlacedObject } from "./parse-file.ts";

export interface ManifestMerge {
  /** Replaces what `file` contributes; an empty list takes it all back. */
  setFile(file: string, objects: readonly PlacedObject[]): void;
  /** One for every object that stands behind another file's. */
  duplicates(): readonly SourceProblem[];
}

export function createManifestMerge(source: WritableSource): ManifestMerge {
  /** "Kind key" → file → object. */
  const claims = new Map<string, Map<string, PlacedObject>>();
  const contributed = new Map<string, ReadonlySet<string>>();

  function settle(claim: string, object: SourceObject): void {
    const claimants = claims.get(claim);
    const winner = claimants === undefined ? undefined : firstFile(claimants);
    if (winner !== undefined) {
      putObject(source, winner.placed.object);
      return;
    }
    claims.delete(claim);
    source[object.kind].delete(objectKey(object));
  }

  return {
    setFile(file, objects) {
      const touched = new Map<string, SourceObject>();
      for (const claim of contributed.get(file) ?? []) {
        const claimants = claims.get(claim);
        const old = claimants?.get(file);
        if (old !== undefined) touched.set(claim, old.object);
        claimants?.delete(file);
      }
      const names = new Set<string>();
      for (const placed of objects) {
        const claim = `${placed.object.kind} ${objectKey(placed.object)}`;
        names.add(claim);
        touched.set(claim, placed.object);
        const claimants = claims.get(claim) ?? new Map<string, PlacedObject>();
        claims.set(claim, claimants.set(file, placed));
      }
      if (names.size > 0) contributed.set(file, names);
      else contributed.delete(file);
      for (const [claim, object] of touched) settle(claim, object);
    },
    duplicates() {
      const problems: SourceProblem[] = [];
      for (const [claim, claimants] of claims) {
        if (claimants.size < 2) continue;
        const winner = firstFile(claimants)?.file ?? "";
        for (const [file, { line }] of claimants) {
          if (file === winner) continue;
          const message = `Cannot use ${claim}: "${winner}" holds it too and comes first by name`;
          problems.push({ severity: "warning", file, line, column: 1, message, object: claim });
        }
      }
      return problems;
    },
  };
}

function firstFile(
  claimants: ReadonlyMap<string, PlacedObject>,
): { file: string; placed: PlacedObject } | undefined {
  let first: { file: string; placed: PlacedObject } | undefined;
  for (const [file, placed] of claimants) {
    if (first === undefined || file < first.file) first = { file, placed };
  }
  return first;
}
