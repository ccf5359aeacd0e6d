/**
 * Questions that are under way.
 *
 * @module
 */

/** One question: how new its answer will be, and whether that may be too old to be kept. */
export interface Flight {
  readonly since: number;
  overtaken: boolean;
}

/**
 * Single flight: who asks for a key that is being asked for gets the same answer.
 *
 * @example
 * ```ts
 * const flights = new Flights();
 * const ask = () => Promise.resolve("https://example.com/");
 * const answer = flights.join("docs", 0) ?? flights.start("docs", 0, ask);
 * flights.join("docs", 0) === answer; // true, until it is there
 * ```
 */
export class Flights {
  readonly #flights = new Map<string, Flight & { answer: Promise<string> }>();

  /** The answer that is on its way, if it will be no older than at `since`. */
  join(key: string, since: number): Promise<string> | undefined {
    const flight = this.#flights.get(key);
    return flight !== undefined && flight.since >= since ? flight.answer : undefined;
  }

  /** Asks; `ask` looks at its flight once it has the answer. */
  start(key: string, since: number, ask: (flight: Flight) => Promise<string>): Promise<string> {
    this.overtake(key); // a change that comes from now on marks the new flight alone
    const flight = { since, overtaken: false, answer: Promise.resolve("") };
    flight.answer = ask(flight).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    this.#flights.set(key, flight);
    return flight.answer;
  }

  /** Lets nobody join any more in what was asked for before a change of `key`, or of any. */
  overtake(key?: string): void {
    for (const each of key === undefined ? [...this.#flights.keys()] : [key]) {
      const flight = this.#flights.get(each);
      if (flight !== undefined) flight.overtaken = true;
      this.#flights.delete(each);
    }
  }
}
