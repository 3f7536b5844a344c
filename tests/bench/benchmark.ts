// What a benchmark is: contestants that do the same work and take turns, so that a slow moment of
// the machine hits all of them, and goals as ratios of their medians within one run.

export interface BenchmarkContext {
  /** Fewer items and rounds, to see that everything runs. Its figures mean little. */
  readonly quick: boolean;
  readonly rounds: number;
  /** What --rounds said, for a benchmark with a number of its own; undefined if nothing. */
  readonly givenRounds: number | undefined;
  /** A directory of the run's own; removed at the end. */
  readonly directory: string;
  /** Progress for a person who waits. */
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface Benchmark {
  readonly name: string;
  readonly title: string;
  run(context: BenchmarkContext): Promise<BenchmarkResult>;
}

export type Unit = "ms" | "µs" | "rows/s" | "% of a core" | "Gbit/s" | "connections/s";

export interface Measurement {
  readonly name: string;
  readonly unit: Unit;
  readonly median: number;
  /** One value a round, in order. */
  readonly values: readonly number[];
}

/** Where the median of a few rounds says too little. */
export interface Distribution {
  readonly name: string;
  readonly unit: Unit;
  readonly samples: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Verdict {
  /** "mirror / bare loop" */
  readonly what: string;
  readonly ratio: number;
  readonly goal: { readonly kind: "at most" | "at least"; readonly ratio: number };
  readonly met: boolean;
}

export interface BenchmarkResult {
  readonly measurements: readonly Measurement[];
  readonly distributions?: readonly Distribution[];
  readonly verdicts: readonly Verdict[];
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
}

export interface Contestant {
  readonly name: string;
  /** Does the work once and returns the measured value. */
  run(): Promise<number>;
}

export interface RoundsOptions {
  readonly unit: Measurement["unit"];
  readonly rounds: number;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Every contestant once a round, each round starting with another one. */
export async function measureRounds(
  contestants: readonly Contestant[],
  options: RoundsOptions,
): Promise<Measurement[]> {
  const values = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < options.rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(round + turn) % contestants.length];
      if (contestant === undefined) continue;
      options.signal.throwIfAborted();
      const value = await contestant.run();
      values.get(contestant.name)?.push(value);
      const where = `${round + 1}/${options.rounds}`;
      options.say(`  ${where} ${contestant.name}: ${formatNumber(value)} ${options.unit}`);
    }
  }
  return [...values].map(([name, measured]) => ({
    name,
    unit: options.unit,
    median: median(measured),
    values: measured,
  }));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The nearest-rank quantile; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.max(0, Math.ceil(q * sorted.length) - 1);
  return sorted[rank] ?? Number.NaN;
}

export function distribution(name: string, unit: Unit, values: readonly number[]): Distribution {
  const of = (q: number): number => quantile(values, q);
  return { name, unit, samples: values.length, p50: of(0.5), p99: of(0.99), max: of(1) };
}

export interface RatioQuestion {
  readonly of: string;
  readonly to: string;
  readonly goal: Verdict["goal"];
}

/**
 * The ratio of two measurements, and whether it meets the goal. Where both were taken every round
 * it is the median of the rounds' ratios, so that a machine that gets slower or faster in the
 * course of a run does not show in it; else the ratio of the medians.
 */
export function judge(measurements: readonly Measurement[], question: RatioQuestion): Verdict {
  const valuesOf = (name: string): readonly number[] =>
    measurements.find((measurement) => measurement.name === name)?.values ?? [];
  const [of, to] = [valuesOf(question.of), valuesOf(question.to)];
  const ratio =
    of.length === to.length
      ? median(of.map((value, round) => value / (to[round] ?? Number.NaN)))
      : median(of) / median(to);
  const { kind, ratio: limit } = question.goal;
  return {
    what: `${question.of} / ${question.to}`,
    ratio,
    goal: question.goal,
    met: kind === "at most" ? ratio <= limit : ratio >= limit,
  };
}

/** Three figures that matter, with thousands apart. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
