// What was refused and why, counted by prefix, with the latest reasons only: a peer can make
// any number of bad records, and none of them may cost memory.

const LATEST_REASONS = 8;
const REASON_MAX_LENGTH = 300;

export interface Rejected {
  readonly count: number;
  readonly latest: readonly string[];
}

export class Rejections {
  readonly #byPrefix = new Map<string, { count: number; latest: string[] }>();

  add(prefix: string, reason: string): void {
    const entry = this.#byPrefix.get(prefix) ?? { count: 0, latest: [] };
    this.#byPrefix.set(prefix, entry);
    entry.count++;
    entry.latest.push(reason.slice(0, REASON_MAX_LENGTH));
    if (entry.latest.length > LATEST_REASONS) entry.latest.shift();
  }

  snapshot(): ReadonlyMap<string, Rejected> {
    return new Map(
      [...this.#byPrefix].map(([prefix, { count, latest }]) => [
        prefix,
        { count, latest: [...latest] },
      ]),
    );
  }
}
