import { OpenAlgoShmError } from '../errors.ts';

interface Listed {
  readonly symbol: string;
  readonly exchange: 'NSE' | 'NFO' | 'NSE_INDEX';
  /** Least quantity that trades. */
  readonly lot: number;
}

/** A share or an index: its price moves by itself. */
export interface Spot extends Listed {
  readonly kind: 'share' | 'index';
  /** Yesterday's close. */
  readonly price: number;
  /** Distance between the strikes of its options. */
  readonly strikeStep: number;
  /** Least quantity of its futures and options. */
  readonly contractSize: number;
}

/** A contract whose price follows its underlying. */
export interface Future extends Listed {
  readonly kind: 'future';
  readonly underlying: Spot;
  readonly daysToExpiry: number;
}

export interface Option extends Listed {
  readonly kind: 'option';
  readonly underlying: Spot;
  readonly daysToExpiry: number;
  readonly strike: number;
  readonly right: 'CE' | 'PE';
}

export type Instrument = Spot | Future | Option;

/** Most instruments that a simulated market may have. */
export const MAX_INSTRUMENTS = 100_000;

/** Symbol, price, distance of strikes, contract size. The order is that of interest: a small market keeps the first. */
const SPOTS: readonly (readonly [string, number, number, number])[] = [
  ['RELIANCE', 1402.5, 20, 500],
  ['NIFTY', 24_480.35, 50, 75],
  ['TCS', 3085.2, 40, 175],
  ['INFY', 1492.15, 20, 400],
  ['BANKNIFTY', 53_215.6, 100, 35],
  ['HDFCBANK', 1978.4, 20, 550],
  ['ICICIBANK', 1421.85, 20, 700],
  ['SBIN', 812.3, 10, 750],
  ['BHARTIARTL', 1864.7, 20, 475],
  ['ITC', 412.55, 5, 1600],
  ['LT', 3642.1, 50, 175],
  ['HINDUNILVR', 2418.9, 40, 300],
  ['AXISBANK', 1068.25, 20, 625],
  ['KOTAKBANK', 2012.6, 20, 400],
  ['BAJFINANCE', 912.75, 10, 750],
  ['MARUTI', 12_645, 100, 50],
  ['SUNPHARMA', 1634.95, 20, 350],
  ['TATASTEEL', 158.35, 2.5, 5500],
  ['TATAPOWER', 388.1, 5, 1450],
  ['WIPRO', 246.8, 2.5, 3000],
  ['ADANIENT', 2296.45, 40, 300],
  ['NTPC', 338.2, 5, 1500],
  ['POWERGRID', 287.9, 5, 1900],
  ['ONGC', 238.65, 2.5, 2250],
  ['TITAN', 3462.3, 50, 175],
  ['ASIANPAINT', 2498.75, 40, 250],
  ['ULTRACEMCO', 12_180, 100, 50],
  ['HCLTECH', 1482.6, 20, 350],
  ['FINNIFTY', 25_410.2, 50, 65],
  ['MIDCPNIFTY', 12_628.4, 25, 140],
];
const INDICES: ReadonlySet<string> = new Set(['NIFTY', 'BANKNIFTY', 'FINNIFTY', 'MIDCPNIFTY']);
/** Whose futures, and whose five strikes around the price, the market has by default. */
const DEFAULT_FUTURES = ['NIFTY', 'BANKNIFTY', 'RELIANCE', 'TCS', 'INFY', 'HDFCBANK'];
const DEFAULT_CHAINS = ['NIFTY', 'BANKNIFTY'];
const DEFAULT_STRIKES = 5;
/** Strikes of one underlying and expiry in a large market. */
const STRIKES = 81;

const MS_PER_DAY = 86_400_000;
const TUESDAY = 2;
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];

/**
 * The instruments of a simulated market: shares, indices, futures and options of NSE, then option chains of ever later
 * expiries. What a contract follows always stands before it.
 *
 * @param today ms since 1970; contracts expire after it
 * @param count how many, at most 100,000; default the 56 best known
 * @throws OpenAlgoShmError `ERR_INVALID_OPTION`
 */
export function simulatedInstruments(today: number, count?: number): Instrument[] {
  if (count !== undefined && (!Number.isInteger(count) || count < 1 || count > MAX_INSTRUMENTS)) {
    throw new OpenAlgoShmError(
      'ERR_INVALID_OPTION',
      `symbols must be a whole number from 1 to ${MAX_INSTRUMENTS}, got ${count}`,
    );
  }
  const spots = SPOTS.map(spotOf);
  const instruments: Instrument[] = [...spots, ...defaultContracts(spots, today)];
  if (count === undefined) return instruments;
  if (count > instruments.length) addChains(instruments, spots, today, count);
  return instruments.slice(0, count);
}

function spotOf([symbol, price, strikeStep, contractSize]: (typeof SPOTS)[number]): Spot {
  return INDICES.has(symbol)
    ? { symbol, exchange: 'NSE_INDEX', kind: 'index', price, strikeStep, contractSize, lot: 1 }
    : { symbol, exchange: 'NSE', kind: 'share', price, strikeStep, contractSize, lot: 1 };
}

function defaultContracts(spots: readonly Spot[], today: number): Instrument[] {
  const named = (names: readonly string[]) => spots.filter((spot) => names.includes(spot.symbol));
  const expiry = monthlyExpiry(today, 0);
  return [
    ...named(DEFAULT_FUTURES).map((spot) => futureOf(spot, expiry, today)),
    ...named(DEFAULT_CHAINS).flatMap((spot) => chainOf(spot, expiry, today, DEFAULT_STRIKES)),
  ];
}

function addChains(instruments: Instrument[], spots: readonly Spot[], today: number, count: number): void {
  const taken = new Set(instruments.map((instrument) => instrument.symbol));
  for (let month = 0; instruments.length < count; month++) {
    const expiry = monthlyExpiry(today, month);
    for (const spot of spots) {
      for (const contract of [futureOf(spot, expiry, today), ...chainOf(spot, expiry, today, STRIKES)]) {
        if (!taken.has(contract.symbol)) instruments.push(contract);
      }
    }
  }
}

function futureOf(underlying: Spot, expiry: number, today: number): Future {
  return {
    symbol: `${underlying.symbol}${expiryCode(expiry)}FUT`,
    exchange: 'NFO',
    kind: 'future',
    lot: underlying.contractSize,
    underlying,
    daysToExpiry: (expiry - today) / MS_PER_DAY,
  };
}

/** Calls and puts at `strikes` strikes, those nearest to the price first. */
function chainOf(underlying: Spot, expiry: number, today: number, strikes: number): Option[] {
  const { strikeStep } = underlying;
  const atTheMoney = Math.round(underlying.price / strikeStep) * strikeStep;
  const chain: Option[] = [];
  for (let rank = 0; rank < strikes; rank++) {
    const steps = Math.ceil(rank / 2);
    const strike = atTheMoney + (rank % 2 === 0 ? steps : -steps) * strikeStep;
    if (strike <= 0) continue;
    for (const right of ['CE', 'PE'] as const) {
      chain.push({
        symbol: `${underlying.symbol}${expiryCode(expiry)}${strike}${right}`,
        exchange: 'NFO',
        kind: 'option',
        lot: underlying.contractSize,
        underlying,
        daysToExpiry: (expiry - today) / MS_PER_DAY,
        strike,
        right,
      });
    }
  }
  return chain;
}

/** The end of a month's last Tuesday, `months` expiries after the next one. */
function monthlyExpiry(today: number, months: number): number {
  const date = new Date(today);
  const thisMonth = endOfLastTuesday(date.getUTCFullYear(), date.getUTCMonth());
  const first = thisMonth > today ? 0 : 1;
  return endOfLastTuesday(date.getUTCFullYear(), date.getUTCMonth() + first + months);
}

function endOfLastTuesday(year: number, month: number): number {
  const lastDay = new Date(Date.UTC(year, month + 1, 0));
  const daysBack = (lastDay.getUTCDay() - TUESDAY + 7) % 7;
  return lastDay.getTime() - daysBack * MS_PER_DAY + MS_PER_DAY;
}

/** The day of an expiry as OpenAlgo's symbols spell it, such as 25NOV25. */
function expiryCode(expiry: number): string {
  const day = new Date(expiry - 1);
  const dayOfMonth = String(day.getUTCDate()).padStart(2, '0');
  return `${dayOfMonth}${MONTHS[day.getUTCMonth()]}${String(day.getUTCFullYear()).slice(-2)}`;
}
