import { byId, element, fillFigures, fillRows, setClass, setShare, setText, Sparkline } from './elements.js';
import { age, bytes, count, duration, short } from './format.js';

const sparklines = new WeakMap();

const TILES = ['Ticks in', 'Deliveries out', 'Clients', 'Latency, p50', 'Lost and conflated', 'Process'].map(
  (label) => {
    const tile = {
      value: element('span', { className: 'tile-value', text: '–' }),
      spark: new Sparkline(),
      note: element('span', { className: 'tile-note' }),
    };
    const name = element('span', { className: 'tile-label', text: label });
    byId('tiles').append(element('div', { className: 'tile' }, name, tile.value, tile.spark.element, tile.note));
    return tile;
  },
);

/** What the proxy says of itself, once a second. `before` is what it said last, `seconds` how long ago. */
export function drawSystem(stats, before, seconds) {
  const rate = (now, then) => Math.max(0, (now - (then ?? now)) / seconds);
  drawTiles(stats, before, rate);
  drawPublishers(stats);
  drawReaders(stats);
  drawClients(stats, before, rate);
}

/** What the proxy has lost, all its threads together: theirs are the readers whose latencies are known. */
function lostBy({ subscribers, messages }) {
  const own = subscribers.filter(({ latency_ns }) => latency_ns !== undefined);
  return own.reduce((sum, { messages_lost }) => sum + messages_lost, messages.dropped);
}

function drawTiles(stats, before, rate) {
  const { publishers, clients, subscriptions, messages, memory, event_loop_delay_ms: delay } = stats;
  const incoming = publishers.reduce((sum, { rate }) => sum + rate, 0);
  const outgoing = rate(messages.sent, before?.messages.sent);
  const alive = publishers.filter(({ alive }) => alive).length;
  const lost = lostBy(stats);
  const lostRate = rate(lost + messages.conflated, before && lostBy(before) + before.messages.conflated);
  const read = stats.subscribers[0]?.latency_ns;
  const { p50, p99 } = stats.delivery_latency_ns;
  const tiles = [
    [`${short(Math.round(incoming))}/s`, incoming, `${alive} ${alive === 1 ? 'publisher' : 'publishers'} alive`],
    [`${short(Math.round(outgoing))}/s`, outgoing, `${short(messages.sent)} since start`],
    [
      count(clients.connected),
      clients.connected,
      `${count(subscriptions.total)} subscriptions, ${count(subscriptions.topics)} topics`,
    ],
    [duration(p50), p50, `p99 ${duration(p99)} · ring read p50 ${duration(read?.p50)}`],
    [short(lost + messages.conflated), lostRate, `${count(lost)} lost, ${count(messages.conflated)} conflated`],
    [bytes(memory.rss), memory.rss, `event loop p99 ${delay.p99.toFixed(1)} ms · up ${age(stats.uptime_seconds)}`],
  ];
  tiles.forEach(([value, sample, note], index) => {
    setText(TILES[index].value, value);
    setText(TILES[index].note, note);
    TILES[index].spark.add(sample);
  });
}

function drawPublishers({ publishers, ring }) {
  byId('publishers-empty').hidden = publishers.length > 0;
  setText(byId('lanes'), ring === null ? '' : `${ring.lanes_used} of ${ring.lanes} lanes used`);
  fillRows(byId('publishers'), publishers, makePublisher, (row, publisher) => {
    const [name, rate, , published, duty, last] = row.children;
    const spark = sparklines.get(row);
    const isSilent = !publisher.alive;
    name.firstElementChild.dataset.state = isSilent ? 'bad' : 'good';
    setText(name.firstElementChild.lastElementChild, isSilent ? `${publisher.name} (gone)` : publisher.name);
    setText(rate, count(publisher.rate));
    spark.add(publisher.rate);
    setText(published, short(publisher.messages_published));
    setText(duty, duration(publisher.avg_latency_ns));
    const silence = publisher.last_publish_age_ms;
    setText(last, silence === null ? 'none yet' : silence < 1500 ? 'now' : `${age(silence / 1000)} ago`);
  });
}

function makePublisher() {
  const spark = new Sparkline();
  const name = element('span', { className: 'publisher' }, element('i', { className: 'dot' }), element('span'));
  const row = element(
    'tr',
    {},
    element('td', {}, name),
    element('td', { className: 'number' }),
    element('td', {}, spark.element),
    element('td', { className: 'number' }),
    element('td', { className: 'number wide' }),
    element('td', { className: 'number' }),
  );
  sparklines.set(row, spark);
  return row;
}

function drawReaders({ subscribers, ring }) {
  const lane = ring?.capacity ?? 1;
  setText(byId('ring-size'), ring === null ? 'not attached' : `${bytes(ring.bytes)} of shared memory`);
  fillRows(byId('readers'), subscribers, makeReader, (row, reader) => {
    const [name, received, lost, lag, unread] = row.children;
    // Only the proxy's own readers, one for each of its threads, say how long ticks take to them.
    setText(name, reader.latency_ns === undefined ? reader.name : `${reader.name} (this proxy)`);
    setText(received, short(reader.messages_received));
    setText(lost, count(reader.messages_lost));
    setClass(lost, reader.messages_lost > 0 ? 'number lost' : 'number');
    setText(lag, count(reader.lag));
    setShare(unread.firstElementChild, reader.lag / lane);
  });
  if (ring === null) return;
  fillFigures(byId('ring-figures'), [
    ['Lines of a lane', count(ring.capacity)],
    ['Topics of a lane', count(ring.topics)],
    ['Policy', ring.policy],
    ['Depth levels', count(ring.depth_levels)],
    ['Attached anew', `${count(ring.reattached)} times`],
  ]);
}

function makeReader() {
  return element(
    'tr',
    {},
    element('td'),
    element('td', { className: 'number' }),
    element('td', { className: 'number' }),
    element('td', { className: 'number' }),
    element('td', { className: 'lane-meter' }, element('div', { className: 'meter' })),
  );
}

function drawClients({ clients }, before, rate) {
  const shown = clients.furthest_behind;
  const rest = clients.connected - shown.length;
  setText(
    byId('clients-count'),
    rest > 0
      ? `the ${shown.length} furthest behind of ${count(clients.connected)}`
      : `${count(clients.connected)} connected`,
  );
  fillRows(byId('clients'), shown, makeClient, (row, client) => {
    const then = before?.clients.furthest_behind.find(({ id }) => id === client.id);
    const [name, subscriptions, sent, unsent, conflated, state] = row.children;
    setText(name.firstElementChild, client.user === null ? 'not authenticated' : client.user);
    setText(name.lastElementChild, `#${client.id} · ${client.address} · ${age(client.connected_seconds)}`);
    setText(subscriptions, count(client.subscriptions));
    setText(sent, count(rate(client.sent, then?.sent)));
    setText(unsent, client.backlog_bytes === 0 ? '0' : bytes(client.backlog_bytes));
    setText(conflated, short(client.conflated));
    const tag = state.firstElementChild;
    tag.dataset.state = client.is_conflated ? 'bad' : 'good';
    setText(tag, client.is_conflated ? 'behind' : 'live');
  });
}

function makeClient() {
  return element(
    'tr',
    {},
    element('td', { className: 'instrument' }, element('b'), element('span')),
    element('td', { className: 'number wide' }),
    element('td', { className: 'number' }),
    element('td', { className: 'number' }),
    element('td', { className: 'number' }),
    element('td', {}, element('span', { className: 'tag' })),
  );
}
