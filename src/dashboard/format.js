// Numbers as people read them.
const PRICE = new Intl.NumberFormat('en-IN', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const FINE_PRICE = new Intl.NumberFormat('en-IN', { minimumFractionDigits: 2, maximumFractionDigits: 8 });
const COUNT = new Intl.NumberFormat('en-IN', { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });

export const NONE = '–';

/** A price; small ones, as crypto has them, with more digits. */
export function price(value) {
  if (!Number.isFinite(value)) return NONE;
  return (Math.abs(value) < 1 && value !== 0 ? FINE_PRICE : PRICE).format(value);
}

/** 12,34,567 */
export function count(value) {
  return Number.isFinite(value) ? COUNT.format(value) : NONE;
}

/** 1.234M */
export function short(value) {
  if (!Number.isFinite(value)) return NONE;
  return Math.abs(value) < 10_000 ? COUNT.format(value) : SHORT.format(value);
}

/** +1.24 % */
export function percent(value) {
  if (!Number.isFinite(value)) return '';
  return `${value > 0 ? '+' : ''}${value.toFixed(2)} %`;
}

/** +12.30 */
export function signed(value) {
  if (!Number.isFinite(value)) return '';
  return `${value > 0 ? '+' : ''}${price(value)}`;
}

/** 250 ns, 12 µs, 4.6 ms, 7.8 s */
export function duration(ns) {
  if (!Number.isFinite(ns)) return NONE;
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${digits(ns / 1e3)} µs`;
  if (ns < 1e9) return `${digits(ns / 1e6)} ms`;
  return ns < 120e9 ? `${digits(ns / 1e9)} s` : age(ns / 1e9);
}

/** 42 s, 5 min, 3 h 12 min */
export function age(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** 512 B, 1.2 MiB */
export function bytes(value) {
  if (!Number.isFinite(value)) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  let size = value;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 ? size : digits(size)} ${units[unit]}`;
}

function digits(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
