import { ask, key, KeyWanted, searchTopics } from './api.js';
import { Chart } from './chart.js';
import { drawChosen } from './chosen.js';
import { Connection } from './connection.js';
import { byId, setText } from './elements.js';
import { drawSoon } from './frame.js';
import { drawLadder } from './ladder.js';
import { drawLatency } from './latency.js';
import { startSearch } from './search.js';
import { drawSystem } from './system.js';
import { startTheme } from './theme.js';
import { Watchlist } from './watchlist.js';

const ROUND_MS = 1000;
const FIRST_INSTRUMENTS = 8;
const CONNECTION_TEXT = { connecting: 'connecting', open: 'live', waiting: 'reconnecting' };

const chart = new Chart();
const connection = new Connection({ state: showConnection, tick: takeTick, skipped: () => {}, keyWanted: askForKey });
let latest;

const drawChosenSoon = () => drawSoon(drawChosenNow);
function drawChosenNow() {
  drawChosen(watchlist.chosen);
  drawLadder(watchlist.chosen);
}

const watchlist = new Watchlist(() => {
  // The list calls back while it is being made, with what was stored.
  queueMicrotask(() => {
    connection.want([...watchlist.instruments.values()], watchlist.chosen);
    chart.show(watchlist.chosen);
    drawChosenSoon();
  });
});
startTheme(() => chart.recolour());
startSearch((name) => {
  const { symbol } = watchlist.add(name);
  setText(byId('announcer'), `${symbol} is watched`);
});
startKeyDialog();
connection.open();
void round();
setInterval(() => void round(), ROUND_MS);

function takeTick(message) {
  const instrument = watchlist.instruments.get(`${message.exchange}:${message.symbol}`);
  if (instrument === undefined) return;
  instrument.take(message);
  watchlist.show(instrument);
  if (instrument !== watchlist.chosen) return;
  chart.update();
  drawChosenSoon();
}

/** What is done once a second, as long as somebody looks. */
async function round() {
  if (document.hidden) return;
  try {
    const [stats, health] = await Promise.all([ask('stats'), ask('health')]);
    const at = performance.now();
    const before = latest;
    const seconds = before === undefined ? 1 : (at - before.at) / 1000;
    const isSameProcess = before !== undefined && stats.uptime_seconds >= before.stats.uptime_seconds;
    latest = { at, stats };
    for (const instrument of watchlist.instruments.values()) {
      instrument.countRate(seconds);
      watchlist.show(instrument);
    }
    drawSoon(() => {
      drawSystem(stats, isSameProcess ? before.stats : undefined, seconds);
      drawLatency(stats);
      showHealth(health);
      setText(byId('ring-name'), stats.ring === null ? 'no shared memory' : `shared memory ${stats.ring.name}`);
      chart.update();
    });
    if (watchlist.isUntouched) await watchTheFirst();
  } catch (error) {
    if (error instanceof KeyWanted) askForKey();
    else showPill('feed-state', 'waiting', 'proxy unreachable');
  }
}

/** A page that is opened for the first time shows something, not nothing. */
async function watchTheFirst() {
  const { topics } = await searchTopics('', 1000);
  if (topics.length === 0 || !watchlist.isUntouched) return;
  // Shares and indices have shorter names than their derivatives.
  const first = topics.sort((a, b) => a.symbol.length - b.symbol.length).slice(0, FIRST_INSTRUMENTS);
  for (const name of first) watchlist.add(name);
  watchlist.choose(watchlist.instruments.values().next().value);
}

function showConnection(state) {
  showPill('connection-state', state === 'open' ? 'good' : 'waiting', CONNECTION_TEXT[state]);
}

function showHealth({ status, reasons, last_tick_age_ms: tickAge, market }) {
  const reason = reasons[0];
  if (status === 'ok' && market === 'closed') showPill('feed-state', 'waiting', 'market closed');
  else if (status === 'ok') showPill('feed-state', 'good', tickAge === null ? 'feed ready' : 'feed ok');
  else showPill('feed-state', 'bad', reason.code.replaceAll('_', ' '));
  byId('feed-state').title = reason?.message ?? 'ticks are coming';
}

function showPill(id, state, text) {
  const pill = byId(id);
  pill.dataset.state = state;
  setText(pill.lastElementChild, text);
}

function askForKey() {
  const dialog = byId('key-dialog');
  if (dialog.open) return;
  setText(byId('key-error'), key.get() === undefined ? '' : 'This key is not valid.');
  key.forget();
  dialog.showModal();
}

function startKeyDialog() {
  const dialog = byId('key-dialog');
  dialog.addEventListener('cancel', (event) => event.preventDefault());
  byId('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    key.set(byId('key-input').value.trim());
    byId('key-input').value = '';
    dialog.close();
    connection.open();
    void round();
  });
}
