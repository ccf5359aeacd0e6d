/**
 * How often a link was followed on each of the last days, as a picture.
 *
 * @module
 */
import { formatDay } from "../hits/counts.ts";
import { DAYS, type Traffic } from "../hits/traffic.ts";
import { hitsOf, numberOf } from "./facts.ts";

const TOP = 20; // where the highest bar may begin, in pixels: above it stands what it would mean
const FOOT = 140; // where bars stand
const HEIGHT = 164;
const GAP = 0.2; // of the width of a day
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/**
 * A bar chart of the 90 days up to `today`, as SVG, and what it shows in words; "" where there were no hits.
 * It takes the width that there is: places in it go by percent, heights and letters by pixels.
 *
 * @param today in days since 1970
 * @example
 * ```ts
 * chart([[20780, 2], [20782, 3]], 20782); // <figure class="chart">…5 hits in 90 days, the most on 2026-11-25: 3…
 * ```
 */
export function chart(all: Traffic["days"], today: number): string {
  const first = today - DAYS + 1;
  const days = all.filter(([day, hits]) => day >= first && day <= today && hits > 0);
  if (days.length === 0) return "";
  const sum = days.reduce((sum, [, hits]) => sum + hits, 0);
  const [busiest, most] = days.reduce((best, day) => day[1] > best[1] ? day : best);
  const words = `${hitsOf(sum)} in ${DAYS} days, the most on ${formatDay(busiest)}: ${
    numberOf(most)
  }`;
  const top = roundUp(most);
  const bars = days.map(([day, hits]) => {
    const height = Math.max(2, Math.round((FOOT - TOP) * hits / top)); // even a single one is seen
    return `<rect x="${percent(day - first + GAP / 2)}" y="${FOOT - height}" width="${
      percent(1 - GAP)
    }" height="${height}" rx="1"><title>${formatDay(day)}: ${hitsOf(hits)}</title></rect>\n`;
  });
  return `<figure class="chart">
<figcaption>${words}</figcaption>
<svg role="img" aria-label="${words}" width="100%" height="${HEIGHT}">
${line(TOP)}${line((TOP + FOOT) / 2)}${line(FOOT)}${bars.join("")}<text x="0" y="${TOP - 6}">${
    numberOf(top)
  }</text>
${months(first, today)}<text x="100%" y="${HEIGHT - 6}" text-anchor="end">today</text>
</svg>
</figure>
`;
}

/** The next of 2, 4, ... 98, 100, 120, ... 1000, 1200, ...: half of it is a whole number, too. */
function roundUp(count: number): number {
  const step = Math.max(2, 2 * 10 ** Math.floor(Math.log10(count) - 1));
  return step * Math.ceil(count / step);
}

/** Where something stands that is so many days behind the first one's beginning. */
function percent(days: number): string {
  return `${(100 * days / DAYS).toFixed(2)}%`;
}

function line(y: number): string {
  return `<line x1="0" x2="100%" y1="${y}" y2="${y}"></line>\n`;
}

/** Where months begin: their names, but for those that would stand where "today" does. */
function months(first: number, today: number): string {
  let texts = "";
  for (let day = first; day <= today - 12; day++) {
    const [, month, date] = formatDay(day).split("-").map(Number);
    if (date !== 1) continue;
    texts += `<text x="${percent(day - first)}" y="${HEIGHT - 6}">${MONTHS[month - 1]}</text>\n`;
  }
  return texts;
}
