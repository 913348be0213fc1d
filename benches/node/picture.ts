/** A line of a panel. */
export interface Series {
  colour: string;
  isDashed: boolean;
  points: readonly { x: number; y: number; isHollow: boolean }[];
}

/** One diagram, both of whose axes are logarithmic. */
export interface Panel {
  title: string;
  /** The labels of its x axis. */
  places: readonly { x: number; label: string }[];
  series: readonly Series[];
}

/** Panels beside one another that share their y axis. */
export interface Row {
  title: string;
  panels: readonly Panel[];
}

const WIDTH = 230;
const HEIGHT = 170;
const GAP = 24;
const LEFT = 64;
const TOP = 48;
const BELOW = 64;

/** An SVG of rows of panels, with a legend above. */
export function picture(rows: readonly Row[], legend: readonly { name: string; colour: string }[]): string {
  const columns = Math.max(...rows.map(({ panels }) => panels.length));
  const [width, height] = [LEFT + columns * (WIDTH + GAP), TOP + rows.length * (HEIGHT + BELOW)];
  const entries = legend.map(({ name, colour }, index) => {
    const x = LEFT + index * 200;
    return colour === 'none'
      ? text(x, 18, name)
      : `<path d="M${x} 14h20" stroke="${colour}" stroke-width="2"/>${text(x + 26, 18, name)}`;
  });
  const body = rows.map((row, index) => drawRow(row, TOP + index * (HEIGHT + BELOW)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...entries,
    ...body,
    '</svg>\n',
  ].join('\n');
}

function drawRow({ title, panels }: Row, top: number): string {
  const all = panels.flatMap(({ series }) => series.flatMap(({ points }) => points.map(({ y }) => y)));
  if (all.length === 0) return '';
  const [low, high] = [Math.floor(Math.log10(Math.min(...all))), Math.ceil(Math.log10(Math.max(...all)))];
  const y = (value: number): number => top + HEIGHT * (1 - (Math.log10(value) - low) / Math.max(1, high - low));
  const decades = Array.from({ length: high - low + 1 }, (_, index) => low + index);
  const labels = decades.map((decade) => text(LEFT - 6, y(10 ** decade) + 4, decadeLabel(decade), 'end'));
  const drawn = panels.map((panel, index) => {
    const left = LEFT + index * (WIDTH + GAP);
    const lines = decades.map(
      (decade) => `<path d="M${left} ${round(y(10 ** decade))}h${WIDTH}" stroke="#d8dee4" stroke-width="1"/>`,
    );
    return [...lines, drawPanel(panel, left, top, y)].join('\n');
  });
  return [text(LEFT, top - 8, title), ...labels, ...drawn].join('\n');
}

function drawPanel({ title, places, series }: Panel, left: number, top: number, y: (value: number) => number): string {
  const [first, last] = [Math.log10(places[0]!.x), Math.log10(places.at(-1)!.x)];
  const x = (value: number): number => left + 14 + ((WIDTH - 28) * (Math.log10(value) - first)) / (last - first);
  const labels = places.map((place) => text(x(place.x), top + HEIGHT + 14, place.label, 'middle'));
  const lines = series.map(({ colour, isDashed, points }) => {
    const path = points.map((point, index) => `${index === 0 ? 'M' : 'L'}${round(x(point.x))} ${round(y(point.y))}`);
    const dots = points.map(({ x: at, y: value, isHollow }) => {
      return `<circle cx="${round(x(at))}" cy="${round(y(value))}" r="3" fill="${isHollow ? '#fff' : colour}" stroke="${colour}"/>`;
    });
    const dash = isDashed ? ' stroke-dasharray="4 3"' : '';
    return `<path d="${path.join('')}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>\n${dots.join('\n')}`;
  });
  return [...labels, text(left + WIDTH / 2, top + HEIGHT + 32, title, 'middle'), ...lines].join('\n');
}

function text(x: number, y: number, words: string, anchor = 'start'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="#1f2328">${words}</text>`;
}

function decadeLabel(decade: number): string {
  return decade < 0 ? (10 ** decade).toFixed(-decade) : (10 ** decade).toLocaleString('en');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
