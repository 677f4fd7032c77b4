/** One figure of one run of the benchmarks. A ratio is the measure against its floor, both taken in the same run. */
export type Measure = { median: number; unit: string; runs: number[]; floor?: number; ratio?: number }

/** What is aimed at, for the table: of the ratio where there is one, else of the median. */
export type Target = { atMost?: number; atLeast?: number }

export type Benchmark = {
  /** The names that it measures. */
  names: readonly string[]
  targets: Readonly<Record<string, Target>>
  /** Takes so long that it runs only when it is named, or with --all. */
  isLong?: true
  run(say: (line: string) => void): Promise<Record<string, Measure>>
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const [low = NaN, high = NaN] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]]
  return (low + high) / 2
}

export function measured(runs: readonly number[], unit: string, floors?: readonly number[]): Measure {
  const value = median(runs)
  const rounded = runs.map((run) => Number(run.toPrecision(5)))
  if (!floors) return { median: Number(value.toPrecision(5)), unit, runs: rounded }
  const floor = median(floors)
  return {
    median: Number(value.toPrecision(5)),
    unit,
    runs: rounded,
    floor: Number(floor.toPrecision(5)),
    ratio: Number((value / floor).toFixed(3)),
  }
}
