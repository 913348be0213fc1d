import type { DepthLevel, MarketDepth, Mode, Tick } from '../message.ts';
import { futureValue, optionValue } from './fair-value.ts';
import type { Instrument } from './instruments.ts';
import type { RandomStream } from './random.ts';

/** Prices move in steps of 0.05 and are kept as whole numbers of them, so that none is off by a rounding. */
const STEPS_PER_UNIT = 20;
/** What one tick moves a share and an index by, as a part of the price (one deviation). */
const SHARE_MOVE = 0.0003;
const INDEX_MOVE = 0.00015;
/** How strongly a price is drawn back to the day's opening, so that a market that runs for days stays believable. */
const PULL = 0.0005;
/** How far a price may go from yesterday's close before the exchange stops it. */
const CIRCUIT = 0.1;
/** Most lots of one trade, and of one level of a book. */
const MAX_LOTS = 40;

/** One instrument of a simulated market: its price, its book and the figures of its day. */
export class PricedInstrument {
  readonly instrument: Instrument;
  readonly #underlying: PricedInstrument | undefined;
  readonly #random: RandomStream;
  /** Levels a side that a tick shows, and that the book has. */
  readonly #shownLevels: number;
  readonly #levels: number;
  /** Quantities of both sides, then orders of both sides: buy first, best first. */
  readonly #book: Int32Array;
  readonly #levelGap: number;
  readonly #hiddenQuantity: number;
  readonly #previousClose: number;
  readonly #lowerCircuit: number;
  readonly #upperCircuit: number;
  readonly #opening: number;
  #fair: number;
  #last: number;
  #bid = 0;
  #ask = 0;
  readonly #open: number;
  #high: number;
  #low: number;
  #lastQuantity = 0;
  #volume = 0;
  #turnover = 0;
  readonly #previousOi: number;
  #oi: number;
  #oiHigh: number;
  #oiLow: number;

  /** @param underlying the priced underlying of a future or an option */
  constructor(instrument: Instrument, underlying: PricedInstrument | undefined, levels: number, random: RandomStream) {
    this.instrument = instrument;
    this.#underlying = underlying;
    this.#random = random;
    this.#shownLevels = levels;
    this.#levels = Math.max(1, levels);

    const spot = 'underlying' in instrument ? instrument.underlying : instrument;
    const reference = priceOf(instrument, spot.price);
    const reach = CIRCUIT * (instrument.kind === 'option' ? spot.price : reference);
    this.#previousClose = inSteps(reference);
    this.#lowerCircuit = inSteps(reference - reach);
    this.#upperCircuit = inSteps(reference + reach);
    this.#levelGap = 1 + Math.floor(this.#previousClose / 20_000);

    this.#book = new Int32Array(4 * this.#levels);
    for (let level = 0; level < 2 * this.#levels; level++) this.#refill(level);
    this.#hiddenQuantity = instrument.lot * random.integer(500, 5000);
    this.#previousOi = instrument.exchange === 'NFO' ? instrument.lot * random.integer(1000, 50_000) : 0;
    this.#oi = this.#oiHigh = this.#oiLow = this.#previousOi;

    this.#opening = reference * (1 + random.normal() * 0.003);
    this.#fair = this.#opening;
    this.#last = this.#previousClose;
    this.#high = 0;
    this.#low = Number.POSITIVE_INFINITY;
    this.step();
    this.#open = this.#last;
  }

  /** One trade: the price moves, quantities of the book change, the figures of the day follow. */
  step(): void {
    this.#quote(inSteps(this.#nextFairValue()));
    this.#high = Math.max(this.#high, this.#last);
    this.#low = Math.min(this.#low, this.#last);
    if (this.instrument.kind === 'index') return;

    this.#refill(this.#random.integer(0, 2 * this.#levels - 1));
    this.#lastQuantity = this.instrument.lot * this.#random.integer(1, MAX_LOTS);
    this.#volume += this.#lastQuantity;
    this.#turnover += this.#lastQuantity * inUnits(this.#last);
    if (this.instrument.exchange === 'NFO') {
      this.#oi = Math.max(0, this.#oi + this.instrument.lot * this.#random.integer(-10, 10));
      this.#oiHigh = Math.max(this.#oiHigh, this.#oi);
      this.#oiLow = Math.min(this.#oiLow, this.#oi);
    }
  }

  /** The tick of the last trade. @param now ms since 1970 */
  tick(mode: Mode, now: number): Tick {
    const tick: Tick = {
      symbol: this.instrument.symbol,
      exchange: this.instrument.exchange,
      type: mode,
      ltp: inUnits(this.#last),
      ltt: now,
      timestamp: now,
      volume: this.#volume,
    };
    if (mode > 1) this.#addQuote(tick);
    if (mode === 3) tick.depth = this.#depth();
    return tick;
  }

  #addQuote(tick: Tick): void {
    const change = this.#last - this.#previousClose;
    tick.open = inUnits(this.#open);
    tick.high = inUnits(this.#high);
    tick.low = inUnits(this.#low);
    tick.close = tick.prevClose = inUnits(this.#previousClose);
    tick.change = inUnits(change);
    tick.changePercent = toPaise((change / this.#previousClose) * 100);
    if (this.instrument.kind === 'index') return;

    tick.averagePrice = toPaise(this.#turnover / this.#volume);
    tick.lastQuantity = this.#lastQuantity;
    tick.turnover = toPaise(this.#turnover);
    tick.bid = inUnits(this.#bid);
    tick.ask = inUnits(this.#ask);
    tick.bidQty = this.#book[0] as number;
    tick.askQty = this.#book[this.#levels] as number;
    tick.totalBuyQuantity = this.#totalOf(0);
    tick.totalSellQuantity = this.#totalOf(this.#levels);
    tick.upperCircuit = inUnits(this.#upperCircuit);
    tick.lowerCircuit = inUnits(this.#lowerCircuit);
    if (this.instrument.exchange === 'NFO') {
      tick.oi = this.#oi;
      tick.oiChange = this.#oi - this.#previousOi;
      tick.oiDayHigh = this.#oiHigh;
      tick.oiDayLow = this.#oiLow;
    }
  }

  /** An index has a price and no book, but clients of its depth want the price. */
  #depth(): MarketDepth {
    if (this.instrument.kind === 'index') return { buy: [], sell: [] };
    return {
      buy: this.#side(this.#bid, -this.#levelGap, 0),
      sell: this.#side(this.#ask, this.#levelGap, this.#levels),
    };
  }

  /** Levels from the best outwards, as far as the circuits let orders stand. */
  #side(best: number, gap: number, first: number): DepthLevel[] {
    const levels: DepthLevel[] = [];
    for (let level = 0, price = best; level < this.#shownLevels; level++, price += gap) {
      if (price < this.#lowerCircuit || price > this.#upperCircuit) break;
      levels.push({
        price: inUnits(price),
        quantity: this.#book[first + level] as number,
        orders: this.#book[2 * this.#levels + first + level] as number,
      });
    }
    return levels;
  }

  #totalOf(first: number): number {
    let total = this.#hiddenQuantity;
    for (let level = first; level < first + this.#levels; level++) total += this.#book[level] as number;
    return total;
  }

  #nextFairValue(): number {
    if (this.#underlying !== undefined) return priceOf(this.instrument, this.#underlying.#fair);
    const move = this.instrument.kind === 'index' ? INDEX_MOVE : SHARE_MOVE;
    this.#fair *= Math.exp(this.#random.normal() * move - Math.log(this.#fair / this.#opening) * PULL);
    return this.#fair;
  }

  /** Best prices around the fair one, and the last trade at one of them. */
  #quote(fair: number): void {
    if (this.instrument.kind === 'index') {
      this.#last = fair;
      return;
    }
    const spread = 1 + Math.floor(this.#random.next() * (1 + fair / 10_000));
    this.#bid = Math.min(Math.max(fair - (spread >> 1), this.#lowerCircuit), this.#upperCircuit - spread);
    this.#ask = this.#bid + spread;
    this.#last = this.#random.next() < 0.5 ? this.#bid : this.#ask;
  }

  #refill(level: number): void {
    const lots = this.#random.integer(1, MAX_LOTS);
    this.#book[level] = lots * this.instrument.lot;
    this.#book[2 * this.#levels + level] = this.#random.integer(1, Math.min(lots, 12));
  }
}

/** What an instrument is worth at a price of its underlying, or of itself where it has none. */
function priceOf(instrument: Instrument, spot: number): number {
  if (instrument.kind === 'future') return futureValue(spot, instrument.daysToExpiry);
  if (instrument.kind === 'option')
    return optionValue(spot, instrument.strike, instrument.right, instrument.daysToExpiry);
  return spot;
}

function inSteps(price: number): number {
  return Math.max(1, Math.round(price * STEPS_PER_UNIT));
}

function inUnits(steps: number): number {
  return steps / STEPS_PER_UNIT;
}

function toPaise(value: number): number {
  return Math.round(value * 100) / 100;
}
