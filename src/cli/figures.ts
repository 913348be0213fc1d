const COUNT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 1,234,567 */
export function count(value: number): string {
  return COUNT.format(value);
}

/** 1 tick, 2 ticks */
export function counted(value: number, noun: string, plural = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : plural}`;
}

/** A duration in ns in the unit that suits it: 250 ns, 12.3 µs, 4.56 ms, 7.8 s. */
export function duration(ns: number): string {
  if (ns < 1000) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${significant(ns / 1e3)} µs`;
  if (ns < 1e9) return `${significant(ns / 1e6)} ms`;
  return `${significant(ns / 1e9)} s`;
}

/** A size in bytes: 512 B, 1.00 MiB. */
export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 ** 2) return `${significant(value / 1024)} KiB`;
  if (value < 1024 ** 3) return `${significant(value / 1024 ** 2)} MiB`;
  return `${significant(value / 1024 ** 3)} GiB`;
}

/** A large number in short: 950, 12.3 k, 4.56 M. */
export function short(value: number): string {
  if (value < 1000) return String(Math.round(value));
  if (value < 1e6) return `${significant(value / 1e3)} k`;
  return `${significant(value / 1e6)} M`;
}

function significant(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}
