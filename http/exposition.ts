/**
 * Metrics as Prometheus reads them.
 *
 * @module
 */

/** The media type of {@linkcode Exposition.text}. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A value, for each of which there are labels. */
export type Samples = number | [labels: Record<string, string>, value: number][];

/**
 * How many values were how large.
 *
 * @example
 * ```ts
 * const sizes = new Histogram([1, 10, 100]);
 * sizes.observe(7);
 * sizes.count; // 1
 * ```
 */
export class Histogram {
  count = 0;
  sum = 0;
  readonly #counts: number[];

  /** @param bounds the largest value in each bucket, ascending; one more bucket takes the rest */
  constructor(private readonly bounds: number[]) {
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.count++;
    this.sum += value;
    const at = this.bounds.findIndex((bound) => value <= bound);
    if (at !== -1) this.#counts[at]++;
  }

  /** How many values were no larger than each bound. */
  get buckets(): [bound: number, count: number][] {
    let below = 0;
    return this.bounds.map((bound, i) => [bound, below += this.#counts[i]]);
  }
}

/**
 * A text of metrics.
 *
 * @example
 * ```ts
 * const text = new Exposition().counter("goto_hits_total", "Hits.", 3).text;
 * // # HELP goto_hits_total Hits.
 * // # TYPE goto_hits_total counter
 * // goto_hits_total 3
 * ```
 */
export class Exposition {
  text = "";

  /** A number that only grows. One that is not known is left out. */
  counter(name: string, help: string, samples: Samples | undefined): this {
    return this.#metric(name, help, "counter", samples);
  }

  /** A number that goes up and down. One that is not known is left out. */
  gauge(name: string, help: string, samples: Samples | undefined): this {
    return this.#metric(name, help, "gauge", samples);
  }

  histogram(name: string, help: string, { buckets, sum, count }: Histogram): this {
    this.#head(name, help, "histogram");
    for (const [bound, below] of buckets) this.#sample(`${name}_bucket`, { le: `${bound}` }, below);
    this.#sample(`${name}_bucket`, { le: "+Inf" }, count);
    this.#sample(`${name}_sum`, {}, sum);
    this.#sample(`${name}_count`, {}, count);
    return this;
  }

  #metric(name: string, help: string, type: string, samples: Samples | undefined): this {
    if (samples === undefined) return this;
    this.#head(name, help, type);
    if (typeof samples === "number") samples = [[{}, samples]];
    for (const [labels, value] of samples) this.#sample(name, labels, value);
    return this;
  }

  #head(name: string, help: string, type: string): void {
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  #sample(name: string, labels: Record<string, string>, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
    this.text += `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}\n`;
  }
}

function escape(text: string): string {
  return text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
}
