/**
 * Draws the benchmark's bars.
 *
 * @module
 */

/** A bar. */
export interface Bar {
  label: string;
  value: number;
  /** What stands behind it, such as `41.2k  0.93`. */
  text: string;
  /** Whether it is ours, and so coloured. */
  ours: boolean;
}

/** Bars under a title; `ceiling` is drawn as a line across them. */
export interface Group {
  title: string;
  bars: Bar[];
  ceiling?: number;
}

const WIDTH = 760;
const LEFT = 250; // where bars begin
const RIGHT = 620; // and where the longest ends
const ROW = 24;

/** An SVG that fits light and dark pages. */
export function drawBars(title: string, groups: Group[], footer: string): string {
  const most = Math.max(...groups.flatMap(({ bars, ceiling = 0 }) => [
    ceiling,
    ...bars.map(({ value }) => value),
  ]));
  const x = (value: number) => (LEFT + (RIGHT - LEFT) * value / most).toFixed(1);
  const parts: string[] = [];
  let y = 40;
  for (const { title, bars, ceiling } of groups) {
    parts.push(`<text class="title" x="16" y="${y + 12}">${escape(title)}</text>`);
    y += 22;
    const top = y;
    for (const { label, value, text, ours } of bars) {
      const end = (Number(x(value)) - LEFT).toFixed(1);
      parts.push(
        `<text class="label" x="${LEFT - 10}" y="${y + 16}">${escape(label)}</text>`,
        `<rect class="${ours ? "ours" : "other"}" x="${LEFT}" y="${y + 3}" width="${end}" height="${
          ROW - 6
        }" rx="2"/>`,
        `<text x="${Number(x(value)) + 8}" y="${y + 16}">${escape(text)}</text>`,
      );
      y += ROW;
    }
    if (ceiling !== undefined) {
      const at = x(ceiling);
      parts.push(`<line x1="${at}" x2="${at}" y1="${top - 2}" y2="${y + 2}"/>`);
    }
    y += 16;
  }
  const height = y + 20;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escape(title)}</title>
<style>
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .heading { font-size: 15px; font-weight: 600 }
  .title { font-weight: 600 }
  .label { text-anchor: end }
  .note { font-size: 11px; fill: #6e7781 }
  .ours { fill: #1f6feb }
  .other { fill: #afb8c1 }
  line { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #8d96a0 }
    .ours { fill: #4493f8 }
    .other { fill: #57606a }
    line { stroke: #f85149 }
  }
</style>
<text class="heading" x="16" y="24">${escape(title)}</text>
${parts.join("\n")}
<text class="note" x="16" y="${height - 10}">${escape(footer)}</text>
</svg>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>]/g, (char) => `&#${char.charCodeAt(0)};`);
}
