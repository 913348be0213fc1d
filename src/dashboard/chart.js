import uPlot from './uPlot.esm.js';
import { byId, element, setText } from './elements.js';
import { price } from './format.js';
import { drawSoon } from './frame.js';
import { colour } from './theme.js';

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** A young history is stretched, but not more than this. */
const LEAST_SECONDS = 20;
/** In less time a line of minutes does not move by a pixel, and its axes are the dearest thing on the page. */
const LEAST_PAUSE_MS = 80;

/** The price of the chosen instrument over the last minutes. */
export class Chart {
  #place = byId('chart');
  #tip = element('div', { className: 'chart-tip' });
  #plot;
  #instrument;
  #seconds = 300;
  #isDue = false;
  #colours;
  /** First and last second that are seen. */
  #seen = [Date.now() / 1000 - this.#seconds, Date.now() / 1000];

  constructor() {
    this.#tip.hidden = true;
    this.recolour();
    this.#plot = new uPlot(this.#options(), [this.#seen, [null, null]], this.#place);
    this.#place.append(this.#tip);
    new ResizeObserver(() => this.#plot.setSize(this.#size())).observe(this.#place);
    for (const button of document.querySelectorAll('[data-window]')) {
      button.addEventListener('click', () => this.#setWindow(button));
    }
  }

  show(instrument) {
    this.#instrument = instrument;
    drawSoon(this.#draw);
  }

  /** To be called when there is a new price, and now and then for the time to pass. */
  update() {
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => {
      this.#isDue = false;
      drawSoon(this.#draw);
    }, LEAST_PAUSE_MS);
  }

  recolour() {
    this.#colours = {
      line: colour('accent'),
      area: colour('accent-soft'),
      grid: colour('line'),
      text: colour('muted'),
    };
    this.#plot?.redraw(false);
  }

  #draw = () => {
    const { times, prices } = this.#instrument ?? { times: [], prices: [] };
    const now = Date.now() / 1000;
    const first = Math.min(times[0] ?? now, now - LEAST_SECONDS);
    this.#seen = [Math.max(first, now - this.#seconds), now + 1];
    // Without two points there are no axes.
    this.#plot.setData(times.length > 0 ? [times, prices] : [this.#seen, [null, null]]);
  };

  #setWindow(chosen) {
    this.#seconds = Number(chosen.dataset.window);
    for (const button of document.querySelectorAll('[data-window]')) {
      button.setAttribute('aria-pressed', String(button === chosen));
    }
    drawSoon(this.#draw);
  }

  #size() {
    return { width: this.#place.clientWidth, height: this.#place.clientHeight };
  }

  #options() {
    const colours = () => this.#colours;
    const axis = {
      stroke: () => colours().text,
      grid: { stroke: () => colours().grid, width: 1 },
      ticks: { show: false },
      font: '11px ui-sans-serif, system-ui, sans-serif',
    };
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [10, 0, 0, 30],
      cursor: { y: true, points: { size: 7 }, drag: { x: false, y: false } },
      scales: {
        x: { time: true, range: () => this.#seen },
        y: { range: (plot) => rangeOf(plot.data[0], plot.data[1], this.#seen[0]) },
      },
      axes: [
        { ...axis, space: 90, values: (_, ticks) => ticks.map((tick) => TIME.format(tick * 1000)) },
        { ...axis, side: 1, size: 76, values: (_, ticks) => ticks.map((tick) => price(tick)) },
      ],
      series: [
        {},
        {
          stroke: () => colours().line,
          fill: () => colours().area,
          width: 1.8,
          points: { show: false },
          paths: uPlot.paths.stepped({ align: 1 }),
        },
      ],
      hooks: { setCursor: [(plot) => this.#point(plot)], draw: [(plot) => this.#markLast(plot)] },
    };
  }

  #point(plot) {
    const { idx } = plot.cursor;
    this.#tip.hidden = idx === null || idx === undefined || plot.cursor.left < 0;
    if (this.#tip.hidden) return;
    const [times, prices] = plot.data;
    if (prices[idx] === null) return;
    setText(this.#tip, `${TIME.format(times[idx] * 1000)}  ${price(prices[idx])}`);
  }

  /** A line and a label at the last price. */
  #markLast(plot) {
    const last = plot.data[1].at(-1) ?? null;
    if (last === null) return;
    const { ctx, bbox } = plot;
    const y = Math.round(plot.valToPos(last, 'y', true));
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = this.#colours.line;
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillStyle = this.#colours.line;
    ctx.fillRect(bbox.left + bbox.width + 2 * ratio, y - 9 * ratio, 74 * ratio, 18 * ratio);
    ctx.fillStyle = '#fff';
    ctx.font = `600 ${11 * ratio}px ui-sans-serif, system-ui, sans-serif`;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    ctx.fillText(price(last), bbox.left + bbox.width + 7 * ratio, y + ratio);
    ctx.restore();
  }
}

/** Lowest and highest price that are seen, with room above and below. */
function rangeOf(times, prices, from) {
  const later = times.findIndex((time) => time >= from);
  let min = Infinity;
  let max = -Infinity;
  for (let index = Math.max(0, later - 1); index < prices.length; index++) {
    if (prices[index] === null) continue;
    min = Math.min(min, prices[index]);
    max = Math.max(max, prices[index]);
  }
  if (min > max) return [0, 1];
  const room = Math.max((max - min) * 0.15, Math.abs(max) * 0.0002, 1e-8);
  return [min - room, max + room];
}
