// Reads the per-CPU counters (`drops`, `counters`): a name → number table, summed over processors.
import { closeSync } from "node:fs";
import { createMemory, type MapSpec } from "./codec.ts";
import { checkResult } from "./errno.ts";
import type { Count } from "./gen/layout.ts";
import * as libbpf from "./libbpf.ts";
import { checkMapFd, openPin } from "./pin.ts";

export interface CountMap<N extends string> extends Disposable {
  /** Every name with its count since the map was made. */
  read(): ReadonlyMap<N, bigint>;
  close(): void;
}

/** `numbers` is the generated enum whose numbers index the map. */
export function openPinnedCounts<N extends string>(
  path: string,
  { spec, numbers }: { spec: MapSpec<number, Count>; numbers: Readonly<Record<N, number>> },
): CountMap<N> {
  let fd = openPin(path);
  let rows: number;
  try {
    rows = checkMapFd(fd, spec).maxEntries;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const cpus = checkResult("Cannot count processors", libbpf.possibleCpus());
  const key = createMemory(spec.key.size);
  const values = createMemory(spec.value.size * cpus);
  const names = Object.entries(numbers) as [N, number][];

  /** A map that an older version made has no row for what it did not know: never counted. */
  function readOne(number: number): bigint {
    if (number >= rows) return 0n;
    spec.key.encode(number, key, 0);
    checkResult(`Cannot read map "${spec.name}"`, libbpf.mapLookup(fd, key.bytes, values.bytes));
    let sum = 0n;
    for (let cpu = 0; cpu < cpus; cpu++)
      sum += spec.value.decode(values, cpu * spec.value.size).value;
    return sum;
  }

  function close(): void {
    if (fd >= 0) closeSync(fd);
    fd = -1;
  }
  return {
    read: () => new Map(names.map(([name, number]) => [name, readOne(number)])),
    close,
    [Symbol.dispose]: close,
  };
}
