import { byId, element, fillRows, setShare, setText } from './elements.js';
import { count, price, short } from './format.js';

const SHOWN = 10;

const sells = element('div', { className: 'side above' });
const buys = element('div', { className: 'side' });
const balance = {
  buy: element('span', { className: 'up' }),
  bar: element('div', { className: 'balance-bar' }),
  sell: element('span', { className: 'down' }),
};
const head = element(
  'div',
  { className: 'ladder-head' },
  element('span', { text: 'Orders' }),
  element('span', { text: 'Quantity' }),
  element('span', { text: 'Price' }),
);
const middle = element('div', { className: 'balance' }, balance.buy, balance.bar, balance.sell);
byId('ladder').append(head, sells, middle, buys);

/** The order book of an instrument: sellers above, best price next to the middle. */
export function drawLadder(instrument) {
  const book = instrument?.data.depth;
  const buy = (book?.buy ?? []).slice(0, SHOWN);
  const sell = (book?.sell ?? []).slice(0, SHOWN);
  const isEmpty = buy.length + sell.length === 0;
  byId('ladder').hidden = isEmpty;
  byId('ladder-empty').hidden = !isEmpty;
  setText(byId('ladder-spread'), spreadOf(buy[0], sell[0]));
  if (isEmpty) return;
  const most = Math.max(...buy.map(quantity), ...sell.map(quantity), 1);
  fillRows(
    sells,
    sell.toReversed(),
    () => makeLevel('sell'),
    (row, level) => fillLevel(row, level, most),
  );
  fillRows(
    buys,
    buy,
    () => makeLevel('buy'),
    (row, level) => fillLevel(row, level, most),
  );
  const bought = instrument.data.total_buy_quantity ?? sum(buy);
  const sold = instrument.data.total_sell_quantity ?? sum(sell);
  setText(balance.buy, short(bought));
  setText(balance.sell, short(sold));
  setShare(balance.bar, bought / (bought + sold || 1));
}

function makeLevel(side) {
  return element(
    'div',
    { className: `level ${side}` },
    element('span', { className: 'level-orders' }),
    element('span'),
    element('span', { className: 'level-price' }),
  );
}

function fillLevel(row, { price: at, quantity, orders }, most) {
  const [ordersCell, quantityCell, priceCell] = row.children;
  setText(ordersCell, orders > 0 ? count(orders) : '');
  setText(quantityCell, count(quantity));
  setText(priceCell, price(at));
  setShare(row, quantity / most);
}

function spreadOf(buy, sell) {
  if (buy === undefined || sell === undefined) return '';
  return `spread ${price(sell.price - buy.price)}`;
}

const quantity = (level) => level.quantity;
const sum = (levels) => levels.reduce((total, level) => total + level.quantity, 0);
