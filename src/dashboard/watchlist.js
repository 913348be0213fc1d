import { byId, element, setClass, setText } from './elements.js';
import { count, percent, price, short } from './format.js';
import { drawSoon } from './frame.js';
import { Instrument, keyOf } from './market.js';

/** Where the chart is below the list, out of sight. */
const PHONE = matchMedia('(max-width: 720px)');
const STORED = 'openalgo-shm.watchlist';

/** The watched instruments, one of which is chosen, as a table that is worked with keys and pointer alike. */
export class Watchlist {
  /** Watched instruments by key, in their order. */
  instruments = new Map();
  chosen;
  #rows = new Map();
  #changed = new Set();
  #seen = new IntersectionObserver((entries) => this.#see(entries));
  #onChange;

  /** @param onChange is called when an instrument comes, goes or is chosen */
  constructor(onChange) {
    this.#onChange = onChange;
    byId('watchlist-rows').addEventListener('keydown', (event) => this.#useKey(event));
    for (const name of storedNames()) this.#insert(name);
    this.choose(this.instruments.values().next().value);
  }

  /** True where nobody has ever put anything on the list. */
  get isUntouched() {
    return localStorage.getItem(STORED) === null && this.instruments.size === 0;
  }

  add(name) {
    const instrument = this.instruments.get(keyOf(name)) ?? this.#insert(name);
    this.#store();
    this.choose(instrument);
    return instrument;
  }

  remove(instrument) {
    const keys = [...this.instruments.keys()];
    const index = keys.indexOf(instrument.key);
    this.instruments.delete(instrument.key);
    const { row } = this.#rows.get(instrument.key);
    this.#seen.unobserve(row);
    row.remove();
    this.#rows.delete(instrument.key);
    this.#store();
    const next = this.instruments.get(keys[index + 1] ?? keys[index - 1]);
    if (this.chosen === instrument) this.choose(next);
    else this.#onChange();
    if (next !== undefined) this.#rows.get(next.key).row.focus();
    this.#drawCount();
  }

  choose(instrument) {
    this.chosen = instrument;
    for (const [key, { row }] of this.#rows) {
      row.setAttribute('aria-selected', String(key === instrument?.key));
      row.tabIndex = key === instrument?.key ? 0 : -1;
    }
    this.#onChange();
  }

  /** Has the row of an instrument drawn with the next frame, if somebody can see it. */
  show(instrument) {
    this.#changed.add(instrument);
    drawSoon(this.#draw);
  }

  #see(entries) {
    for (const { target, isIntersecting } of entries) {
      const instrument = this.instruments.get(target.dataset.key);
      if (instrument === undefined) continue;
      this.#rows.get(instrument.key).isSeen = isIntersecting;
      if (isIntersecting) this.show(instrument);
    }
  }

  #draw = () => {
    for (const instrument of this.#changed) this.#drawRow(instrument);
    this.#changed.clear();
  };

  #insert(name) {
    const instrument = new Instrument(name);
    this.instruments.set(instrument.key, instrument);
    this.#rows.set(instrument.key, this.#makeRow(instrument));
    this.#drawCount();
    this.show(instrument);
    return instrument;
  }

  #makeRow(instrument) {
    const cell = (className) => element('td', { className });
    const cells = {
      last: element('span', { className: 'last' }),
      change: cell('number'),
      bid: cell('number wide'),
      ask: cell('number wide'),
      volume: cell('number wide'),
      rate: cell('number muted'),
    };
    const remove = element('button', {
      className: 'remove',
      text: '×',
      type: 'button',
      tabindex: '-1',
      'aria-label': `Remove ${instrument.symbol}`,
    });
    remove.addEventListener('click', (event) => {
      event.stopPropagation();
      this.remove(instrument);
    });
    const name = element(
      'td',
      { className: 'instrument' },
      element('b', { text: instrument.symbol, title: instrument.symbol }),
      element('span', { text: instrument.exchange }),
    );
    const row = element(
      'tr',
      { tabindex: '-1', 'aria-selected': 'false', dataset: { key: instrument.key } },
      name,
      element('td', { className: 'number' }, cells.last),
      cells.change,
      cells.bid,
      cells.ask,
      cells.volume,
      cells.rate,
      element('td', {}, remove),
    );
    row.addEventListener('click', () => {
      this.choose(instrument);
      if (PHONE.matches) byId('chosen-symbol').scrollIntoView({ behavior: 'smooth' });
    });
    byId('watchlist-rows').append(row);
    this.#seen.observe(row);
    return { row, cells, moves: 0, isSeen: false };
  }

  #drawRow(instrument) {
    const drawn = this.#rows.get(instrument.key);
    if (!drawn?.isSeen) return;
    const { cells } = drawn;
    const { data, changePercent } = instrument;
    setText(cells.last, price(data.ltp));
    setText(cells.change, percent(changePercent));
    setClass(cells.change, `number ${changePercent > 0 ? 'up' : changePercent < 0 ? 'down' : ''}`);
    setText(cells.bid, price(data.bid ?? data.depth?.buy?.[0]?.price));
    setText(cells.ask, price(data.ask ?? data.depth?.sell?.[0]?.price));
    setText(cells.volume, short(data.volume));
    setText(cells.rate, count(instrument.rate));
    if (drawn.moves === instrument.moves) return;
    drawn.moves = instrument.moves;
    // Two animations of the same look take turns: changing the name starts it anew.
    const flash = instrument.direction > 0 ? 'up' : 'down';
    cells.last.dataset.flash = cells.last.dataset.flash === flash ? `${flash}2` : flash;
  }

  #useKey(event) {
    const row = event.target.closest('tr');
    const instrument = this.instruments.get(row?.dataset.key);
    if (instrument === undefined) return;
    const neighbour = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
    if (neighbour) neighbour.focus();
    else if (event.key === 'Enter' || event.key === ' ') this.choose(instrument);
    else if (event.key === 'Delete' || event.key === 'Backspace') this.remove(instrument);
    else return;
    event.preventDefault();
  }

  #drawCount() {
    const { size } = this.instruments;
    setText(byId('watchlist-count'), size === 0 ? '' : `${size} watched`);
    byId('watchlist-empty').hidden = size > 0;
  }

  #store() {
    const names = [...this.instruments.values()].map(({ exchange, symbol }) => ({ exchange, symbol }));
    localStorage.setItem(STORED, JSON.stringify(names));
  }
}

function storedNames() {
  try {
    const names = JSON.parse(localStorage.getItem(STORED) ?? '[]');
    return names.filter(({ exchange, symbol }) => typeof exchange === 'string' && typeof symbol === 'string');
  } catch {
    return [];
  }
}
