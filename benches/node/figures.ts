/** Who made a figure: this project, something that people use instead, or the machine itself. */
export type By = 'own' | 'peer' | 'limit';

/** One measured number. */
export interface Figure {
  name: string;
  /** Median of the runs. */
  value: number;
  unit: string;
  by: By;
  min: number;
  max: number;
  runs: number;
}

/** Figures in the order of their first appearance; each is measured several times. */
export class Figures {
  readonly #figures = new Map<string, { by: By; unit: string; values: number[] }>();

  add(by: By, name: string, unit: string, value: number): void {
    const figure = this.#figures.get(name);
    if (figure === undefined) this.#figures.set(name, { by, unit, values: [value] });
    else figure.values.push(value);
  }

  /** Median of a figure; undefined if it was not measured. */
  median(name: string): number | undefined {
    const figure = this.#figures.get(name);
    return figure === undefined ? undefined : middle(figure.values);
  }

  /** Adds how many times one figure another is, in the newest run, if both were measured. */
  addRatio(name: string, of: string, to: string): void {
    const [above, below] = [this.#figures.get(of), this.#figures.get(to)];
    if (above === undefined || below === undefined) return;
    const [value, by] = [above.values.at(-1)!, below.values.at(-1)!];
    if (by !== 0) this.add('own', name, 'times', value / by);
  }

  list(): Figure[] {
    return [...this.#figures].map(([name, { by, unit, values }]) => ({
      name,
      value: rounded(middle(values)),
      unit,
      by,
      min: rounded(Math.min(...values)),
      max: rounded(Math.max(...values)),
      runs: values.length,
    }));
  }
}

/** The value in the middle; of an even number the upper one. */
export function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Three digits are more than a shared machine can promise. */
function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/** A line for each figure, as a terminal shows it. */
export function table(figures: readonly Figure[]): string {
  return figures
    .map(({ name, value, unit, by, min, max }) => {
      return `${by.padEnd(5)} ${name.padEnd(72)} ${String(value).padStart(10)} ${unit.padEnd(6)} (${min} to ${max})`;
    })
    .join('\n');
}
