/**
 * Figures, and tables of them.
 *
 * @module
 */

/** A figure taken several times. */
export interface Figure {
  median: number;
  /** The middle half of what was measured lies between these. */
  low: number;
  high: number;
}

/** Sums up; nothing where there is nothing. */
export function figure(values: (number | undefined)[]): Figure | undefined {
  const sorted = values.filter((value) => value !== undefined && !Number.isNaN(value))
    .toSorted((a, b) => a! - b!) as number[];
  if (sorted.length === 0) return;
  const at = (part: number) => {
    const place = part * (sorted.length - 1);
    const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
    return below + (above - below) * (place - Math.floor(place));
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75) };
}

/** The figure of ratios, each taken within a round. */
export function ratio(
  values: (number | undefined)[],
  others: (number | undefined)[] | undefined,
): Figure | undefined {
  if (others === undefined) return;
  return figure(values.map((value, i) => {
    const other = others[i];
    return value === undefined || other === undefined ? undefined : value / other;
  }));
}

/** A figure with so many digits, and its spread. */
export function spread(figure: Figure | undefined, digits: number): string {
  if (figure === undefined) return "";
  const text = (value: number) =>
    value.toLocaleString("en-US", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
  return `${text(figure.median)} (${text(figure.low)}–${text(figure.high)})`;
}

/** A table in Markdown: the first column to the left, all others to the right. */
export function table(head: string[], rows: string[][]): string {
  const widths = head.map((cell, i) =>
    Math.max(cell.length, 4, ...rows.map((row) => row[i].length))
  );
  const line = (cells: string[]) =>
    `| ${
      cells.map((cell, i) => i ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join(" | ")
    } |`;
  const rule = widths.map((width, i) => i ? `${"-".repeat(width - 1)}:` : "-".repeat(width));
  return [line(head), line(rule), ...rows.map(line)].join("\n") + "\n";
}
