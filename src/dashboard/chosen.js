import { byId, fillFigures, setClass, setText } from './elements.js';
import { count, percent, price, short, signed } from './format.js';

const FIGURES = [
  ['Open', ({ open }) => price(open)],
  ['High', ({ high }) => price(high)],
  ['Low', ({ low }) => price(low)],
  ['Previous close', ({ prev_close, close }) => price(prev_close ?? close)],
  ['Average', ({ average_price }) => price(average_price)],
  ['Volume', ({ volume }) => short(volume)],
  ['Last quantity', ({ last_quantity }) => count(last_quantity)],
  ['Open interest', ({ oi }) => short(oi)],
];

/** Name, price and figures of the chosen instrument. */
export function drawChosen(instrument) {
  const data = instrument?.data ?? {};
  const change = instrument?.changePercent;
  setText(byId('chosen-symbol'), instrument?.symbol ?? 'No instrument');
  setText(byId('chosen-exchange'), instrument?.exchange ?? 'choose one from the watchlist');
  setText(byId('chosen-ltp'), price(data.ltp));
  setText(byId('chosen-change'), `${signed(instrument?.change)} ${percent(change)}`);
  setClass(byId('chosen-change'), `change ${change > 0 ? 'up' : change < 0 ? 'down' : ''}`);
  const known = FIGURES.map(([name, valueOf]) => [name, valueOf(data)]).filter(([, value]) => value !== '–');
  fillFigures(byId('chosen-figures'), known);
}
