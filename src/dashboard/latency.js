import { byId, element, setShare, setText } from './elements.js';
import { count, duration } from './format.js';

const WINDOW = 10;

const samples = [];
let bars = [];

/** Shows what the last ten looks at the figures have brought, by the buckets of the proxy. */
export function drawLatency({ delivery_latency_histogram: histogram, delivery_latency_ns: percentiles }) {
  const restarted = samples.length > 0 && histogram.counts.some((each, index) => each < samples.at(-1)[index]);
  if (restarted) samples.length = 0;
  samples.push(histogram.counts);
  if (samples.length > WINDOW + 1) samples.shift();
  if (bars.length !== histogram.counts.length) bars = makeBars(histogram.bounds_ns);
  const recent = histogram.counts.map((each, index) => each - samples[0][index]);
  const most = Math.max(1, ...recent);
  recent.forEach((each, index) => {
    setShare(bars[index].column, each === 0 ? 0 : Math.max(0.02, each / most));
    bars[index].bar.title = `${bars[index].name}: ${count(each)} in the last ${WINDOW} s`;
  });
  const total = recent.reduce((sum, each) => sum + each, 0);
  const summary =
    total === 0
      ? 'no tick went to a client in the last 10 s'
      : `p50 ${below(recent, total * 0.5, histogram.bounds_ns)} · p99 ${below(recent, total * 0.99, histogram.bounds_ns)}` +
        ` · since start p99.9 ${duration(percentiles.p999)}, longest ${duration(percentiles.max)}`;
  setText(byId('latency-summary'), summary);
  byId('latency').setAttribute('aria-label', `Histogram of latencies of the last ten seconds: ${summary}`);
}

function makeBars(bounds) {
  const names = [...bounds.map((bound) => `≤ ${whole(bound)}`), `> ${whole(bounds.at(-1))}`];
  const made = names.map((name, index) => {
    const column = element('div', { className: 'bucket-column' });
    const label = index < bounds.length ? whole(bounds[index]) : 'more';
    // From 10 ms on a delivery is slow.
    const tail = (bounds[index] ?? Infinity) > 1e7 ? 'slow' : '';
    const bar = element('div', { className: 'bucket', dataset: { tail } }, column, element('span', { text: label }));
    return { name, column, bar };
  });
  byId('latency').replaceChildren(...made.map(({ bar }) => bar));
  return made;
}

/** Upper bound of the bucket that holds the n-th latency. */
function below(counts, nth, bounds) {
  let seen = 0;
  const bucket = counts.findIndex((each) => (seen += each) >= nth);
  return bucket < bounds.length ? `≤ ${whole(bounds[bucket])}` : `> ${whole(bounds.at(-1))}`;
}

function whole(ns) {
  if (ns < 1e6) return `${ns / 1e3} µs`;
  return ns < 1e9 ? `${ns / 1e6} ms` : `${ns / 1e9} s`;
}
