// Records of canaries until they are fetched: each order's requests in the order of their numbers,
// every one once. Who asks for records from a number on has those before it, so they are forgotten.
import {
  CANARY_RECORDS_MAX,
  type CanaryRecord,
  type CanaryRecordsAnswer,
  type KeptFlow,
} from "../../mesh/operations/questions.ts";
import type { CanaryReport } from "./canary/messages.ts";

export interface CanaryLedger {
  /** Records that nobody has fetched. */
  readonly size: number;
  add(report: CanaryReport): void;
  /**
   * The records from these numbers on, as far as all before them are there too: a request that is
   * still under way holds back those behind it.
   */
  read(from: readonly number[]): CanaryRecordsAnswer;
}

/** Of all orders together: two megabytes of JSON, half of what a message may hold. */
const ANSWER_RECORDS_MAX = 20_000;

interface Line {
  /** Number of the first record in `records`. */
  base: number;
  /** By number, with gaps for those under way. */
  records: (CanaryRecord | undefined)[];
  kept: readonly KeptFlow[];
}

export function createCanaryLedger(orders: number): CanaryLedger {
  const lines: Line[] = Array.from({ length: orders }, () => ({ base: 0, records: [], kept: [] }));
  let size = 0;
  return {
    get size() {
      return size;
    },
    add({ records, kept }) {
      for (const { order, ...record } of records) {
        const line = lines[order];
        if (line === undefined || record.n < line.base) continue;
        const index = record.n - line.base;
        while (line.records.length <= index) line.records.push(undefined);
        if (line.records[index] === undefined) size++;
        line.records[index] = record;
      }
      for (const { order, flows } of kept) {
        const line = lines[order];
        if (line !== undefined) line.kept = flows;
      }
    },
    read(from) {
      let room = ANSWER_RECORDS_MAX;
      return {
        orders: lines.map((line, index) => {
          const forgotten = line.records.splice(0, Math.max(0, (from[index] ?? 0) - line.base));
          line.base += forgotten.length;
          size -= forgotten.filter((record) => record !== undefined).length;
          // Each order gets its share, so that one of a high rate does not keep others out.
          const share = Math.min(CANARY_RECORDS_MAX, Math.ceil(room / (lines.length - index)));
          const records: CanaryRecord[] = [];
          for (const record of line.records) {
            if (record === undefined || records.length >= share) break;
            records.push(record);
          }
          room -= records.length;
          return { records, kept: line.kept };
        }),
      };
    },
  };
}
