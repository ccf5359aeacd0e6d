/** The log in a database, alone: masters that are killed, stopped and cut off, and the history that clients see. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DENOKV, Denokv } from "./denokv.ts";
import { Clients, Master, readLog } from "./kvlog_masters.ts";
import type { Plant } from "./kvlog_store.ts";
import { eventually } from "./processes.ts";
import { random } from "./random.ts";
import { rounds } from "./rounds.ts";

const ignore = DENOKV === undefined;
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What can happen to a master. */
const faults: Record<string, (master: Master, service: Denokv) => Promise<void>> = {
  "is killed": (master) => master.restart(),
  async "is stopped"(master) {
    master.kill("SIGSTOP");
    await wait(700);
    master.kill("SIGCONT");
  },
  // deno-lint-ignore require-await
  async "is cut off"(master) {
    master.link.cut();
  },
  async "loses answers"({ link }) {
    link.cutAfter(50);
    await wait(50);
    link.cutAfter(Infinity);
  },
  // deno-lint-ignore require-await
  async "is in a black hole"(master) {
    master.link.silence();
  },
  async "is slow"({ link }) {
    link.delay = 150;
    await wait(600);
    link.delay = 0;
  },
  async "has a database that is killed"(_, service) {
    await service.stop();
    await service.begin();
  },
};

async function run(count: number, names: string[], plant: Plant = ""): Promise<string[]> {
  const { seed, pick } = random();
  await using service = await Denokv.start();
  const masters: Master[] = [];
  try {
    for (let n = 0; n < count; n++) {
      masters.push(new Master(`master ${n}`, service, n === 1 ? plant : ""));
    }
    await Promise.all(masters.map((master) => master.begin()));
    const clients = new Clients(pick);
    for (const master of masters) clients.start(master, 3);
    for (const name of names) {
      await wait(100 + pick(100));
      await faults[name](masters[plant ? 1 : pick(count)], service);
    }
    await wait(200);
    await clients.stop();
    for (const { link } of masters) link.delay = 0;
    await eventually(async () => {
      for (const master of masters) assertEquals((await master.state()).failure, undefined);
    });
    await clients.settle(masters);
    const states = await Promise.all(masters.map((master) => master.state()));
    const log = await readLog(service);
    const wrong = clients.check(log);
    for (const { size, sum, followed, replaced } of states) {
      if (size !== log.size || sum !== log.sum) {
        wrong.push(`a master is at ${size}, not ${log.size}`);
      }
      if (followed !== sum) wrong.push(`a follower has ${followed}, not ${sum}`);
      if (replaced.length > 0) wrong.push(`replaced: ${replaced}`);
    }
    if (Deno.env.get("GOTO_VERBOSE")) {
      const outcomes = Object.groupBy(clients.operations, ({ outcome }) => outcome);
      console.log(
        seed,
        clients.operations.length,
        Object.entries(outcomes).map(([k, v]) => `${k} ${v?.length}`).join(),
        states,
      );
    }
    return wrong.map((text) => `seed ${seed}: ${text}`);
  } finally {
    await Promise.all(masters.map((master) => master[Symbol.asyncDispose]()));
  }
}

describe("KVLog, several masters", { ignore }, () => {
  it("is linearizable, and has each write once, whatever happens to them", async () => {
    const names = Object.keys(faults);
    for (let round = 0; round < rounds(1, 20); round++) {
      assertEquals(await run(2 + round % 2, names), []);
    }
  });
});
