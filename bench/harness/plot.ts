/** One line of a plot. */
export interface Series {
  readonly name: string;
  /** Both above zero. */
  readonly points: readonly (readonly [number, number])[];
}

/** A small plot with logarithmic axes. */
export interface Plot {
  readonly title: string;
  readonly series: readonly Series[];
}

const [width, height] = [300, 220];
const margin = { left: 52, right: 12, top: 28, bottom: 30 } as const;
const colours = ["#0b6e99", "#c4570a", "#4d7a2a", "#8a4fa3"] as const;

/** The plots side by side as one SVG document; a line that rises no steeper than the grey one is linear or better. */
export function svgOf(plots: readonly Plot[]): string {
  const columns = 3;
  const rows = Math.ceil(plots.length / columns);
  const parts = plots.map((plot, index) => {
    const [x, y] = [(index % columns) * width, Math.floor(index / columns) * height];
    return `<g transform="translate(${x} ${y})">\n${plotted(plot)}\n</g>`;
  });
  const [wide, high] = [Math.min(columns, plots.length) * width, rows * height];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${wide} ${high}" width="${wide}" height="${high}" font-family="sans-serif" font-size="11">`,
    "<title>Apply time, list time and memory by number of policies and bans</title>",
    `<rect width="${wide}" height="${high}" fill="#fff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function plotted({ title, series }: Plot): string {
  const points = series.flatMap((one) => one.points);
  const [xs, ys] = [decades(points.map(([x]) => x)), decades(points.map(([, y]) => y))];
  const x = scale(xs, margin.left, width - margin.right);
  const y = scale(ys, height - margin.bottom, margin.top);
  const [first, last] = [xs[0] ?? 1, xs.at(-1) ?? 1];
  const [base, top] = [ys[0] ?? 1, ys.at(-1) ?? 1];
  const linearEnd = Math.min(last, (first * top) / base);
  return [
    `<text x="${margin.left}" y="16" font-weight="bold">${title}</text>`,
    ...xs.map((at) => tick(x(at), height - margin.bottom, x(at), margin.top, label(at), x(at), height - 14, "middle")),
    ...ys.map((at) => tick(margin.left, y(at), width - margin.right, y(at), label(at), margin.left - 5, y(at) + 4, "end")),
    line(
      [
        [first, base],
        [linearEnd, (base * linearEnd) / first],
      ],
      x,
      y,
      "#999",
      'stroke-dasharray="3 3"',
    ),
    ...series.flatMap((one, index) => {
      const colour = colours[index % colours.length] ?? "#000";
      const dots = one.points.map(([a, b]) => `<circle cx="${round(x(a))}" cy="${round(y(b))}" r="2.5" fill="${colour}"/>`);
      const name = `<text x="${width - margin.right}" y="${16 + index * 12}" text-anchor="end" fill="${colour}">${one.name}</text>`;
      return [line(one.points, x, y, colour), ...dots, name];
    }),
  ].join("\n");
}

function tick(x1: number, y1: number, x2: number, y2: number, text: string, x: number, y: number, anchor: string): string {
  return `<path d="M${round(x1)} ${round(y1)}L${round(x2)} ${round(y2)}" stroke="#e4e4e4"/><text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="#555">${text}</text>`;
}

function line(
  points: Series["points"],
  x: (value: number) => number,
  y: (value: number) => number,
  colour: string,
  more = 'stroke-width="1.6"',
): string {
  return `<path d="${points.map(([a, b], index) => `${index === 0 ? "M" : "L"}${round(x(a))} ${round(y(b))}`).join("")}" fill="none" stroke="${colour}" ${more}/>`;
}

/** The powers of ten from the one below the least figure to the one above the greatest. */
function decades(figures: readonly number[]): readonly number[] {
  const lowest = Math.floor(Math.log10(Math.min(...figures)));
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...figures))));
  return Array.from({ length: highest - lowest + 1 }, (_, index) => 10 ** (lowest + index));
}

function scale(ticks: readonly number[], from: number, to: number): (value: number) => number {
  const [low, high] = [Math.log10(ticks[0] ?? 1), Math.log10(ticks.at(-1) ?? 10)];
  return (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
}

function label(figure: number): string {
  return figure >= 1 ? figure.toLocaleString("en") : String(figure);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
