/** The log in a database, alone: masters that are killed, stopped and cut off, and the history that clients see. */
import { assertEquals, assertMatch } from "@std/assert";
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
  // deno-lint-ignore require-await
  async "compacts"(master) {
    master.compact(); // the others go on
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
      masters.push(new Master(`master ${n}`, service, n === count - 1 ? plant : ""));
    }
    await Promise.all(masters.map((master) => master.begin()));
    const clients = new Clients(pick);
    for (const master of masters) clients.start(master, 3);
    for (const name of names) {
      await wait(100 + pick(100));
      await faults[name](masters[plant ? count - 1 : pick(count)], service);
    }
    await wait(plant ? 600 : 200);
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
    for (let round = 0; round < rounds(1, 20); round++) {
      const names = Object.keys(faults);
      // In the suite each happens once, in this order.
      if (round > 0) names.push(...names), names.sort(() => Math.random() - 0.5);
      assertEquals(await run(2 + round % 2, names), []);
    }
  });

  it("is seen to be wrong where a master answers without catching up", async () => {
    for (let round = 0; round < 10; round++) {
      if (
        (await run(2, [], "no catch up")).some((text) => text.includes("not linearizable"))
      ) return;
    }
    throw new Error("the checker found nothing");
  });

  it("is seen to be wrong where a master takes its own rows for another's", async () => {
    for (let round = 0; round < 10; round++) {
      const faults = ["loses answers", "loses answers", "loses answers"];
      if ((await run(1, faults, "no nonce")).length > 0) return;
    }
    throw new Error("the checker found nothing");
  });

  it("is loaded anew where an older copy of the database was restored", async () => {
    const { pick } = random();
    await using service = await Denokv.start();
    const masters = [0, 1].map((n) => new Master(`master ${n}`, service));
    try {
      await Promise.all(masters.map((master) => master.begin()));
      const clients = new Clients(pick);
      const before = new Clients(pick);
      for (const master of masters) before.start(master, 2);
      await wait(300);
      await before.stop();
      await service.stop();
      await copyAll(service.folder, `${service.folder}/copy`);
      await service.begin();
      for (const master of masters) {
        await eventually(async () => assertEquals((await master.state()).failure, undefined));
        clients.start(master, 2);
      }
      await wait(300);
      const { size } = await readLog(service);
      await service.stop();
      await copyAll(`${service.folder}/copy`, service.folder);
      await service.begin();
      for (const master of masters) {
        await eventually(async () => {
          const { replaced, failure } = await master.state();
          assertEquals([replaced.length > 0, failure], [true, undefined]);
        });
      }
      await clients.stop(); // what they did across the restore may be lost
      const { urls } = await readLog(service);
      const after = new Clients(pick, "after");
      for (const master of masters) after.start(master, 2);
      await wait(300);
      await after.stop();
      await after.settle(masters);
      const log = await readLog(service);
      assertEquals(after.check(log, urls), []);
      for (const master of masters) {
        const { sum, followed, replaced } = await master.state();
        assertEquals([sum, followed], [log.sum, log.sum]);
        assertMatch(replaced.join(), /restored|doesn't follow/);
      }
      assertEquals(log.size === size, false);
    } finally {
      await Promise.all(masters.map((master) => master[Symbol.asyncDispose]()));
    }
  });
});

/** Copies the files of one folder to another. */
async function copyAll(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}
