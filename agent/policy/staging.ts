// Changes put off until every prefix that rules name has its row: before that an address could be
// judged by rules that tell it apart, under a number that does not.
//
// What arrives between two take() is one batch, of which all comes into force or nothing. It waits
// for the next one if it names a prefix that has no row yet, and never for longer, whatever arrives
// meanwhile.

export interface Staging {
  /** To be done in order. */
  add(step: () => void): void;
  /** Does what has waited, and what has come since unless it is to be held back. */
  run(options: { readonly holdNew: boolean }): void;
  readonly isWaiting: boolean;
}

export function createStaging(): Staging {
  let arrived: (() => void)[] = [];
  let waiting: (() => void)[] = [];
  return {
    add(step) {
      arrived.push(step);
    },
    run({ holdNew }) {
      const steps = holdNew ? waiting : waiting.concat(arrived);
      waiting = holdNew ? arrived : [];
      arrived = [];
      for (const step of steps) step();
    },
    get isWaiting() {
      return waiting.length > 0;
    },
  };
}
