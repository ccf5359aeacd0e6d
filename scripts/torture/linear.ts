/**
 * Whether a history of one link is linearizable: whether each operation may have happened at one moment
 * between its start and its end, such that every answer is right.
 *
 * This is the search of Wing and Gong, with Lowe's memory of what was tried already.
 * (G. Lowe: Testing for linearizability. Concurrency and Computation 29(4), 2017.)
 *
 * @module
 */
import type { Kind, Operation, Outcome } from "./history.ts";

const MAX_STEPS = 2_000_000; // of one search; it ends undecided after so many

/** What the search needs to know of an operation. */
export type Step = Pick<Operation, "name" | "kind" | "url" | "start" | "end" | "outcome">;

/** What came of a search. */
export interface Verdict {
  /** Nothing, where it took too long to find out. */
  linearizable?: boolean;
  steps: number;
  /** Where it isn't: the longest order that fits, and the operation that fits nowhere behind it. */
  order: Step[];
  stuck?: Step;
}

/** The start or the end of an operation, in a list that links can be taken out of and put back into. */
interface Event {
  step: Step;
  id: number; // of the operation, by its start
  isStart: boolean;
  other?: Event; // of a start, its end
  before?: Event;
  next?: Event;
}

/**
 * Where the link leads after an operation, or nothing where its answer is wrong for a link that leads to
 * `url` ("" is nowhere). Where nobody knows the answer, there is none that is wrong.
 */
export function apply(
  url: string,
  { kind, url: wanted, outcome }: { kind: Kind; url: string; outcome: Outcome },
): string | undefined {
  if (outcome === "full") return url;
  if (kind === "get") return outcome !== "done" || url === wanted ? url : undefined;
  const possible = (kind === "put") === (url === "");
  if (outcome === "unknown") return possible ? wanted : url;
  if (outcome === "done") return possible ? wanted : undefined;
  return possible ? undefined : url;
}

/**
 * Looks for an order of the operations on one link that leads to `initial` at first. An operation of
 * unknown outcome may happen at any time after its start, or never.
 *
 * @example
 * ```ts
 * const put = { name: "a", kind: "put", url: "x", start: 0, end: 1, outcome: "done" } as const;
 * const get = { name: "b", kind: "get", url: "", start: 2, end: 3, outcome: "done" } as const;
 * linearize([put, get]).linearizable; // false: the link was there
 * ```
 */
export function linearize(steps: readonly Step[], initial = "", most = MAX_STEPS): Verdict {
  const head = listOf(steps);
  const tried = new Set<string>();
  const done = new Done(steps.length);
  const taken: { event: Event; before: string }[] = [];
  let url = initial;
  let count = 0;
  let best: Pick<Verdict, "order" | "stuck"> = { order: [] };
  for (let event = head.next; event !== undefined;) {
    if (++count > most) return { steps: count, ...best };
    if (event.isStart) {
      const after = apply(url, event.step);
      if (after !== undefined && done.add(event.id)) {
        const state = `${done.key}|${after}`;
        if (!tried.has(state)) {
          tried.add(state);
          taken.push({ event, before: url });
          url = after;
          takeOut(event);
          event = head.next;
          continue;
        }
        done.delete(event.id);
      }
      event = event.next;
      continue;
    }
    // All that is left are operations that may never have happened.
    if (event.step.outcome === "unknown") break;
    // It ends here, and has not happened: something before was chosen wrongly.
    if (taken.length >= best.order.length) {
      best = { order: taken.map(({ event }) => event.step), stuck: event.step };
    }
    const last = taken.pop();
    if (last === undefined) return { linearizable: false, steps: count, ...best };
    url = last.before;
    done.delete(last.event.id);
    putBack(last.event);
    event = last.event.next;
  }
  return { linearizable: true, steps: count, order: taken.map(({ event }) => event.step) };
}

/** All starts and ends in the order of time. Whatever ends in the moment that another starts overlaps it. */
function listOf(steps: readonly Step[]): Event {
  const endOf = ({ outcome, end }: Step) => outcome === "unknown" ? Infinity : end;
  const events: Event[] = [];
  for (const [id, step] of steps.toSorted((a, b) => a.start - b.start).entries()) {
    const end: Event = { step, id, isStart: false };
    events.push({ step, id, isStart: true, other: end }, end);
  }
  const timeOf = ({ isStart, step }: Event) => isStart ? step.start : endOf(step);
  events.sort((a, b) => {
    const [one, two] = [timeOf(a), timeOf(b)];
    return one === two ? Number(b.isStart) - Number(a.isStart) : one - two;
  });
  const head: Event = { step: steps[0], id: -1, isStart: false };
  let before = head;
  for (const event of events) {
    event.before = before;
    before = before.next = event;
  }
  return head;
}

function takeOut(start: Event): void {
  for (const { before, next } of [start, start.other!]) {
    before!.next = next;
    if (next) next.before = before;
  }
}

function putBack(start: Event): void {
  for (const event of [start.other!, start]) {
    event.before!.next = event;
    if (event.next) event.next.before = event;
  }
}

/** The operations that have happened. As they are numbered by their starts, most of them are the first. */
class Done {
  readonly #has: Uint8Array;
  #low = 0; // the first that hasn't
  #high = 0; // the one behind the last that has

  constructor(count: number) {
    this.#has = new Uint8Array(count);
  }

  add(id: number): true {
    this.#has[id] = 1;
    while (this.#has[this.#low] === 1) this.#low++;
    this.#high = Math.max(this.#high, id + 1);
    return true;
  }

  delete(id: number): void {
    this.#has[id] = 0;
    this.#low = Math.min(this.#low, id);
    while (this.#high > 0 && this.#has[this.#high - 1] === 0) this.#high--;
  }

  /** The same for the same operations, and for no others. */
  get key(): string {
    return `${this.#low}:${this.#has.subarray(this.#low, this.#high).join("")}`;
  }
}
