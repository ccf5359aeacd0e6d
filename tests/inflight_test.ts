import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { InFlight } from "../http/inflight.ts";

/** Whether `promise` has settled by the end of this turn. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  promise.finally(() => settled = true);
  for (let n = 0; n < 10; n++) await undefined;
  return settled;
}

describe("InFlight", () => {
  it("waits for all that came so far, in whatever order they end, and for nothing that came later", async () => {
    const inFlight = new InFlight();
    const [first, second] = [inFlight.begin(false), inFlight.begin(false)];
    const both = inFlight.answered();
    const third = inFlight.begin(false);
    inFlight.end(second, false);
    const all = inFlight.answered();
    assertEquals([await isSettled(both), await isSettled(all)], [false, false]);
    inFlight.end(first, false);
    assertEquals([await isSettled(both), await isSettled(all)], [true, false]);
    inFlight.end(third, false);
    assertEquals(await isSettled(all), true);
    assertEquals(await isSettled(inFlight.answered()), true);
  });

  it("counts them, and those that are still coming in", async () => {
    const inFlight = new InFlight();
    const first = inFlight.begin(true);
    const answered = inFlight.answered();
    const second = inFlight.begin(false);
    assertEquals([inFlight.count, inFlight.incoming], [2, 1]);
    const next = inFlight.next();
    assertEquals(await isSettled(next), false);
    inFlight.end(first, true);
    assertEquals([inFlight.count, inFlight.incoming], [1, 0]);
    assertEquals([await isSettled(next), await isSettled(answered)], [true, true]);
    inFlight.end(second, false);
    assertEquals(inFlight.count, 0);
  });
});
