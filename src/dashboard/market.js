const HISTORY_SECONDS = 900;
/** Points of the chart are at least so far apart; a newer price within takes the place of the last. */
const STEP_SECONDS = 0.2;

export function keyOf({ exchange, symbol }) {
  return `${exchange}:${symbol}`;
}

/** What is known of one watched instrument. */
export class Instrument {
  key;
  symbol;
  exchange;
  /** Fields as they came last, by their names on the wire. */
  data = {};
  /** 1 or -1 for the last move of the price, 0 before any. */
  direction = 0;
  /** Moves of the price so far. */
  moves = 0;
  ticks = 0;
  /** Ticks a second, of the last second. */
  rate = 0;
  /** Times (seconds since 1970) and prices. */
  times = [];
  prices = [];
  #ticksBefore = 0;

  constructor({ exchange, symbol }) {
    this.exchange = exchange;
    this.symbol = symbol;
    this.key = keyOf({ exchange, symbol });
  }

  take({ data, snapshot }) {
    const before = this.data.ltp;
    Object.assign(this.data, data);
    if (snapshot !== true) this.ticks++;
    const { ltp } = this.data;
    if (!Number.isFinite(data.ltp)) return;
    if (before !== undefined && ltp !== before) {
      this.direction = ltp > before ? 1 : -1;
      this.moves++;
    }
    this.#remember(Date.now() / 1000, ltp);
  }

  /** To be called once a second. */
  countRate(seconds) {
    this.rate = (this.ticks - this.#ticksBefore) / seconds;
    this.#ticksBefore = this.ticks;
  }

  get change() {
    const { change, ltp, prev_close } = this.data;
    return change ?? (prev_close === undefined ? undefined : ltp - prev_close);
  }

  get changePercent() {
    const { change_percent, ltp, prev_close } = this.data;
    return change_percent ?? (prev_close ? ((ltp - prev_close) / prev_close) * 100 : undefined);
  }

  #remember(now, ltp) {
    const { times, prices } = this;
    const last = times.length - 1;
    if (last > 0 && now - times[last - 1] < STEP_SECONDS) {
      times[last] = now;
      prices[last] = ltp;
      return;
    }
    times.push(now);
    prices.push(ltp);
    const old = times.findIndex((time) => time > now - HISTORY_SECONDS);
    if (old > 200) {
      times.splice(0, old);
      prices.splice(0, old);
    }
  }
}
