/**
 * Questions that are under way.
 *
 * @module
 */

/** One question: how new its answer shall be, and whether that may be too old to be kept. */
export interface Asking {
  readonly since: number;
  stale: boolean;
  /** How new the answer is, once it is there. */
  from: number;
}

/** One question, and the answer to it. */
export class Flight<T> implements Asking {
  stale = false;
  from = Infinity;
  answer!: Promise<T>;

  constructor(readonly since: number) {}
}

/**
 * Single flight: who asks for a key that is being asked for gets the same answer.
 *
 * @example
 * ```ts
 * const flights = new Flights<string>();
 * const ask = () => Promise.resolve("https://example.com/");
 * const flight = flights.join("docs", 0) ?? flights.start("docs", 0, ask);
 * flights.join("docs", 0) === flight; // true
 * flights.finish("docs", flight); // the answer is there: who asks now asks anew
 * ```
 */
export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** The question that is under way, if its answer shall be no older than at `since`. */
  join(key: string, since: number): Flight<T> | undefined {
    const flight = this.#flights.get(key);
    return flight !== undefined && flight.since >= since ? flight : undefined;
  }

  /** Asks; `ask` looks at its flight once it has the answer, and has it finish. */
  start(key: string, since: number, ask: (flight: Asking) => Promise<T>): Flight<T> {
    this.invalidate(key); // a change that comes from now on marks the new flight alone
    const flight = new Flight<T>(since);
    this.#flights.set(key, flight);
    flight.answer = ask(flight);
    return flight;
  }

  /** Lets nobody join any more. (What a `finally` would do as well costs three promises.) */
  finish(key: string, flight: Asking): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }

  /** Lets nobody join any more in what was asked for before a change of `key`, or of any. */
  invalidate(key?: string): void {
    for (const each of key === undefined ? [...this.#flights.keys()] : [key]) {
      const flight = this.#flights.get(each);
      if (flight !== undefined) flight.stale = true;
      this.#flights.delete(each);
    }
  }
}
