import { writeFileSync } from 'node:fs';
import type { Figures } from './figures.ts';
import { AXES, CARRIED, GROWING, growthName } from './growth.ts';
import { type Panel, type Series, picture } from './picture.ts';

const COLOURS = ['#0969da', '#8b949e'];
const ROWS = [
  { title: 'CPU, s per million deliveries', figures: ['CPU per million deliveries'] },
  { title: 'age of a tick, µs: p50, p99 dashed', figures: ['p50', 'p99'] },
] as const;

/** Draws what the figures say of how cost grows. */
export function drawGrowth(figures: Figures, file: string): void {
  const rows = ROWS.map(({ title, figures: names }) => {
    return { title, panels: AXES.map((axis) => panel(figures, axis, names)) };
  });
  const legend = [
    ...GROWING.map(({ name }, index) => ({ name, colour: COLOURS[index]! })),
    { name: `hollow: less than ${CARRIED * 100} % of the deliveries came`, colour: 'none' },
  ];
  writeFileSync(file, picture(rows, legend));
}

function panel(figures: Figures, axis: (typeof AXES)[number], names: readonly string[]): Panel {
  const place = (point: (typeof axis.points)[number], index: number): number => axis.place?.(point) ?? 10 ** index;
  const series = GROWING.flatMap(({ name: server }, index): Series[] =>
    names.map((name) => ({
      colour: COLOURS[index]!,
      isDashed: name === 'p99',
      points: axis.points.flatMap((point, at) => {
        const what = growthName(point, server);
        const y = figures.median(`${what}: ${name}`);
        const came = figures.median(`${what}: deliveries that came`) ?? 0;
        return y === undefined || y <= 0 ? [] : [{ x: place(point, at), y, isHollow: came < CARRIED * 100 }];
      }),
    })),
  );
  return {
    title: axis.title,
    places: axis.points.map((point, at) => ({ x: place(point, at), label: axis.label(point) })),
    series,
  };
}
