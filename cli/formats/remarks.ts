/**
 * What is to be said of a file as a whole.
 *
 * @module
 */
import { printable } from "../../links/text.ts";

const MAX_NAMES = 50; // that are named
const MAX_LENGTH = 40; // characters of each

/**
 * Gathers what a reader ignores or takes for granted, each once.
 *
 * @example
 * ```ts
 * const remarks = new Remarks();
 * remarks.ignore("title");
 * remarks.lines; // ["ignored: title"]
 * ```
 */
export class Remarks {
  /** Whether there were times without a zone. */
  zoneless = false;
  readonly #ignored = new Set<string>();
  #total = 0; // links that there are, as the file says
  #found = 0;

  /** Notes a column or member that is ignored. */
  ignore(name: string): void {
    if (this.#ignored.size <= MAX_NAMES) this.#ignored.add(shorten(name));
  }

  /** Notes how many links there are in all, as the file says. */
  expect(total: number): void {
    this.#total = Math.max(this.#total, total);
  }

  /** Notes a link that the file has. */
  find(): void {
    this.#found++;
  }

  /** What there is to say: a line each. */
  get lines(): string[] {
    const lines = [];
    if (this.#found < this.#total) {
      const [found, total] = [this.#found, this.#total].map((n) => n.toLocaleString("en-US"));
      lines.push(`it has ${found} of ${total} links: get the other pages, too`);
    }
    if (this.zoneless) lines.push("times without a zone are taken for UTC");
    const names = [...this.#ignored];
    if (names.length > MAX_NAMES) names[MAX_NAMES] = "and more";
    if (names.length > 0) lines.push(`ignored: ${names.join(", ")}`);
    return lines;
  }
}

/** A text as a message can show it. */
export function shorten(text: string): string {
  const short = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
  return printable(short.toWellFormed());
}
