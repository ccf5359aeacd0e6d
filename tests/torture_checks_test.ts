/** The checks of the torture themselves: each must find a violation that was planted. */
import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { check } from "../scripts/torture/checks.ts";
import { type Kind, type Operation, type Outcome, urlOf } from "../scripts/torture/history.ts";
import { linearize, type Step } from "../scripts/torture/linear.ts";
import { Epoch } from "../scripts/torture/log_record.ts";
import { random } from "./random.ts";

let names = 0;

function step(
  kind: Kind,
  url: string,
  start: number,
  end: number,
  outcome: Outcome = "done",
): Step {
  return { name: `op-${++names}`, kind, url, start, end, outcome };
}

const put = (url: string, start: number, end: number, outcome?: Outcome) =>
  step("put", url, start, end, outcome);
const get = (url: string, start: number, end: number) => step("get", url, start, end);
const update = (url: string, start: number, end: number, outcome?: Outcome) =>
  step("update", url, start, end, outcome);
const remove = (start: number, end: number, outcome?: Outcome) =>
  step("delete", "", start, end, outcome);

const isLinearizable = (...steps: Step[]) => linearize(steps).linearizable;

describe("linearize()", () => {
  it("finds an order where there is one", () => {
    assertEquals(isLinearizable(), true);
    assertEquals(isLinearizable(put("a", 0, 1), get("a", 2, 3), remove(4, 5), get("", 6, 7)), true);
    // What overlaps may have happened either way round.
    assertEquals(isLinearizable(put("a", 0, 5), get("", 1, 2), get("a", 3, 4)), true);
    assertEquals(
      isLinearizable(put("a", 0, 1), update("b", 2, 9), update("c", 2, 9), get("b", 10, 11)),
      true,
    );
    assertEquals(
      isLinearizable(put("a", 0, 1), update("b", 2, 9), update("c", 2, 9), get("c", 10, 11)),
      true,
    );
  });

  it("refuses an older value after a newer one was answered", () => {
    assertEquals(isLinearizable(put("a", 0, 1), update("b", 2, 3), get("a", 4, 5)), false);
    const flicker = [update("b", 2, 20), get("b", 3, 4), get("a", 5, 6)];
    assertEquals(isLinearizable(put("a", 0, 1), ...flicker), false);
  });

  it("refuses a write that is lost, and one that nobody made", () => {
    assertEquals(isLinearizable(put("a", 0, 1), get("", 2, 3)), false);
    assertEquals(isLinearizable(get("a", 0, 1)), false);
    assertEquals(isLinearizable(put("a", 0, 1), put("b", 2, 3)), false);
  });

  it("takes refusals for what they say of the link", () => {
    assertEquals(isLinearizable(put("a", 0, 1), put("b", 2, 3, "exists"), get("a", 4, 5)), true);
    assertEquals(isLinearizable(put("b", 2, 3, "exists")), false);
    assertEquals(isLinearizable(remove(0, 1, "missing"), update("a", 2, 3, "missing")), true);
    assertEquals(isLinearizable(put("a", 0, 1), remove(2, 3, "missing")), false);
    assertEquals(isLinearizable(put("a", 0, 1, "full"), get("", 2, 3)), true);
    assertEquals(isLinearizable(put("a", 0, 1, "full"), get("a", 2, 3)), false);
  });

  it("lets a write of unknown outcome happen late, or never, but not early, and not twice", () => {
    const lost = () => update("b", 2, Infinity, "unknown");
    assertEquals(isLinearizable(put("a", 0, 1), lost(), get("a", 4, 5), get("b", 6, 7)), true);
    assertEquals(isLinearizable(put("a", 0, 1), lost(), get("a", 4, 5)), true);
    assertEquals(isLinearizable(put("a", 0, 1), get("b", 1.2, 1.5), lost()), false);
    const twice = [get("b", 4, 5), update("c", 6, 7), get("b", 8, 9)];
    assertEquals(isLinearizable(put("a", 0, 1), lost(), ...twice), false);
  });

  it("tells the operation that fits nowhere", () => {
    const wrong = get("a", 4, 5);
    const { stuck, order } = linearize([put("a", 0, 1), update("b", 2, 3), wrong]);
    assertEquals(stuck, wrong);
    assertEquals(order.map(({ kind }) => kind), ["put", "update"]);
  });

  it("gives up after so many steps, and says that it doesn't know", () => {
    const many = Array.from({ length: 12 }, (_, i) => update(`${i}`, 0, 100));
    const { linearizable, steps } = linearize(
      [put("a", -2, -1), ...many, get("none", 101, 102)],
      "",
      1000,
    );
    assertEquals([linearizable, steps], [undefined, 1001]);
  });

  it("agrees with trying every order, for 3,000 small histories", () => {
    const { seed, pick } = random();
    let count = 0;
    for (let nth = 0; nth < 3000; nth++) {
      const steps = Array.from({ length: 1 + pick(5) }, (): Step => {
        const start = pick(10);
        const kind = (["get", "put", "update", "delete"] as const)[pick(4)];
        const refused = kind === "put" ? "exists" : "missing";
        const outcome = kind === "get"
          ? "done"
          : (["done", "done", refused, "unknown"] as const)[pick(4)];
        const url = kind === "get"
          ? ["", "0", "1", "2"][pick(4)]
          : kind === "delete"
          ? ""
          : `${pick(3)}`;
        return step(kind, url, start, start + pick(6), outcome);
      });
      const expected = tryAll(steps, "");
      if (expected) count++;
      assertEquals(isLinearizable(...steps), expected, `seed ${seed}: ${JSON.stringify(steps)}`);
    }
    assertEquals(count > 300 && count < 2700, true, `seed ${seed}: ${count} were linearizable`);
  });
});

/** Whether any order of the steps is right, by trying all of them. */
function tryAll(steps: Step[], url: string): boolean {
  if (steps.every(({ outcome }) => outcome === "unknown")) return true;
  return steps.some((one) => {
    const rest = steps.filter((other) => other !== one);
    if (
      rest.some(({ end, outcome }) => outcome !== "unknown" && end < one.start)
    ) {
      return false;
    }
    const possible = (one.kind === "put") === (url === "");
    if (one.kind === "get") return one.url === url && tryAll(rest, url);
    if (one.outcome === "done") return possible && tryAll(rest, one.url);
    if (one.outcome !== "unknown") return !possible && tryAll(rest, url);
    return tryAll(rest, possible ? one.url : url);
  });
}

/** A short history without a fault: a write and two reads at a cache, and the log's lines of it. */
function good() {
  const master = { name: "master", run: 1, master: true };
  const cache = { name: "cache", run: 1, master: false };
  const epoch = new Epoch(1, 0);
  const operations: Operation[] = [];
  const add = (kind: Kind, url: string, start: number, at = cache, outcome: Outcome = "done") => {
    const name = `op-${operations.length + 1}`;
    const operation: Operation = {
      name,
      kind,
      key: "k",
      url: kind === "get" ? url : kind === "delete" ? "" : urlOf(name),
      start,
      end: start + 1,
      outcome,
      process: at,
      epoch: 1,
      excused: false,
    };
    operations.push(operation);
    return operation;
  };
  const write = (kind: Kind, start: number, at = cache) => {
    const operation = add(kind, "", start, at);
    const line = JSON.stringify({ Key: "k", URL: operation.url, ChangedBy: operation.name });
    epoch.take(line, 100 * operations.length, start + 0.5, false);
    return operation;
  };
  write("put", 0);
  add("get", urlOf("op-1"), 2);
  write("update", 4);
  add("get", urlOf("op-3"), 6);
  write("delete", 8);
  add("get", "", 10);
  write("put", 12);
  add("get", urlOf("op-7"), 14);
  add("get", urlOf("op-7"), 16, master);
  return { epoch, operations, add, write, cache, master };
}

describe("check()", () => {
  const broken = ({ operations, epoch }: ReturnType<typeof good>) =>
    check(operations, [epoch]).broken;

  it("finds nothing in a history without a fault", () => {
    const history = good();
    assertEquals(check(history.operations, [history.epoch]), {
      broken: [],
      linearizable: 1,
      undecided: 0,
    });
  });

  it("finds an older version at a server that had told of a newer one", () => {
    const history = good();
    history.add("get", urlOf("op-3"), 18);
    const found = broken(history);
    assertEquals(found.length, 1);
    assertMatch(
      found[0],
      /^cache, process 1, k: https:\S+\/op-3 was read at 18 ms, 5 ms after the put of \S+\/op-7$/,
    );
  });

  it("excuses it where the server had nobody to ask, and in another process", () => {
    const history = good();
    history.add("get", urlOf("op-3"), 18).excused = true;
    history.add("get", urlOf("op-3"), 20, { ...history.cache, run: 2 });
    assertEquals(broken(history), []);
  });

  it("holds a server later to what it told while it had nobody to ask", () => {
    const history = good();
    history.write("update", 18).excused = true;
    history.add("get", urlOf("op-7"), 20);
    assertMatch(
      broken(history).join("\n"),
      /^cache, process 1, k: \S+\/op-7 was read at 20 ms, 1 ms after the update/,
    );
  });

  it("finds an older version at the master", () => {
    const history = good();
    history.add("get", urlOf("op-3"), 18, history.master);
    assertMatch(broken(history).join("\n"), /epoch 1, k: no order explains op-10 get of \S+\/op-3/);
  });

  it("finds a miss at one of several masters that no order explains, and lets it be late otherwise", () => {
    const history = good();
    const one = { name: "one", run: 1, master: false, shared: true };
    history.add("get", urlOf("op-3"), 18, one);
    assertEquals(broken(history), []);
    history.add("get", "", 20, { ...one, name: "other" });
    assertMatch(broken(history).join("\n"), /epoch 1, k: no order explains op-11 get of none/);
  });

  it("finds a link that is shown before anybody asked for it", () => {
    const history = good();
    history.add("get", urlOf("op-11"), 18, { ...history.cache, name: "other" });
    history.write("update", 20);
    assertMatch(broken(history).join("\n"), /^other, process 1, k: \S+\/op-11 was read at 18 ms/);
  });

  it("finds a write that was acknowledged and is in no log", () => {
    const history = good();
    history.add("update", "", 18);
    assertEquals(broken(history), [
      "op-10 (update k at cache, answered at 19 ms) was acknowledged and is not in the log",
    ]);
  });

  it("finds a write that was refused and is in the log", () => {
    const history = good();
    history.write("update", 18).outcome = "full";
    assertMatch(broken(history).join("\n"), /op-10 .* was refused \(full\) and is in the log/);
  });

  it("lets a write be refused that a restore took back before it was answered", () => {
    const history = good();
    const lost = history.write("update", 18);
    lost.outcome = "missing";
    history.epoch.ended = 18.7;
    const next = new Epoch(2, 18.7);
    assertEquals(check(history.operations, [history.epoch, next]).broken, []);
    const kept = new Epoch(2, 18.7, new Map([["k", lost.url]]), new Set([lost.name]));
    assertMatch(
      check(history.operations, [history.epoch, kept]).broken[0],
      /^op-10 .* is in the log$/,
    );
  });

  it("finds a write that was done twice", () => {
    const history = good();
    history.epoch.take(
      JSON.stringify({ Key: "k", URL: urlOf("op-7"), By: "op-7" }),
      5000,
      19,
      false,
    );
    assertMatch(broken(history).join("\n"), /^op-7 was written twice/);
  });
});

describe("Epoch.misses()", () => {
  it("finds what a copy lacks, or has out of order, and accepts what there was at one moment", () => {
    const { epoch } = good();
    const state = (url: string) => new Map([["k", url]]);
    assertEquals(epoch.misses(state(urlOf("op-7")), 0), []);
    assertEquals(epoch.misses(state(urlOf("op-3")), 300), []);
    assertEquals(epoch.misses(state(urlOf("op-3")), 301), []); // nothing came since
    assertEquals(epoch.misses(state(urlOf("op-3")), 500).length, 1); // it was deleted by then
    assertEquals(epoch.misses(state(urlOf("op-7")), 0, 500).length, 1); // nobody had asked for it yet
    assertEquals(epoch.misses(state(urlOf("op-9")), 0).length, 1);
  });
});
