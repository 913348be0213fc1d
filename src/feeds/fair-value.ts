const DAYS_PER_YEAR = 365;
/** Yearly cost of carrying a share or an index to a contract's expiry. */
const CARRY = 0.065;
/** Yearly deviation of an underlying's price, as a part of it. */
const VOLATILITY = 0.18;

/** What a future is worth: the underlying's price and the cost of carrying it to expiry. */
export function futureValue(spot: number, daysToExpiry: number): number {
  return spot * (1 + (CARRY * daysToExpiry) / DAYS_PER_YEAR);
}

/** What an option is worth where prices move normally (Bachelier): never less than zero, calls and puts in parity. */
export function optionValue(spot: number, strike: number, right: 'CE' | 'PE', daysToExpiry: number): number {
  const forward = futureValue(spot, daysToExpiry);
  const intrinsic = right === 'CE' ? forward - strike : strike - forward;
  const deviation = spot * VOLATILITY * Math.sqrt(daysToExpiry / DAYS_PER_YEAR);
  if (deviation === 0) return Math.max(0, intrinsic);
  const distance = intrinsic / deviation;
  return Math.max(0, intrinsic * normalBelow(distance) + deviation * normalDensity(distance));
}

function normalDensity(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
}

/** The share of a normal distribution below x, within 0.0002. */
function normalBelow(x: number): number {
  return 1 / (1 + Math.exp(-1.5976 * x - 0.07056 * x ** 3));
}
