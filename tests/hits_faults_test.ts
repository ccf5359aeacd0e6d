import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { add, eventually, follow, type Goto, start, tempDir } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import { random } from "./random.ts";
import { agree, following } from "./replicas.ts";
import { copied, counted } from "./traffic.ts";

const ROUNDS = 6;
const KEYS = ["a", "b", "c"];

/** A server, and what stands between it and the one above. */
interface Node {
  name: string;
  goto: Goto;
  link?: Proxy;
}

it("counts add up: replicas with threads, a tree, a mirror, cut, restarted and promoted", async () => {
  using home = tempDir();
  using place = tempDir();
  const { seed, pick } = random();
  const file = `${place.path}/mirror.jsonl`;
  await using master = await start({ cwd: home.path }, "-rpc", "-threads=2");
  for (const key of KEYS) await add(master.url, `https://example.com/${key}`, key);
  await using toMirror = new Proxy(master.url);
  await using mirror = await start(
    `-master=${toMirror.url}`,
    "-rpc",
    "-threads=2",
    `-file=${file}`,
  );
  await using toOne = new Proxy(master.url);
  await using one = await start(`-master=${toOne.url}`, "-rpc", "-threads=2");
  await using toTwo = new Proxy(mirror.url);
  await using two = await start(`-master=${toTwo.url}`, "-rpc", "-threads=2");
  await using toThree = new Proxy(one.url);
  await using three = await start(`-master=${toThree.url}`, "-threads=2");
  const nodes: Node[] = [
    { name: "master", goto: master },
    { name: "mirror", goto: mirror, link: toMirror },
    { name: "replica", goto: one, link: toOne },
    { name: "below the mirror", goto: two, link: toTwo },
    { name: "below the replica", goto: three, link: toThree },
  ];
  const sent = new Map(KEYS.map((key) => [key, 0]));
  const byFault = new Map<string, number>();
  const visit = async ({ goto }: Node, fault: string, times: number) => {
    for (let n = 0; n < times; n++) {
      const key = KEYS[pick(KEYS.length)];
      const { status } = await follow(goto.url, key);
      if (status === 302) {
        sent.set(key, sent.get(key)! + 1);
        byFault.set(fault, (byFault.get(fault) ?? 0) + 1);
      } // else it was not at hand while the one above was away
    }
  };
  for (const { goto } of nodes) {
    for (const key of KEYS) {
      await eventually(async () => {
        const { status } = await follow(goto.url, key);
        if (status === 302) sent.set(key, sent.get(key)! + 1);
        assertEquals(status, 302);
      });
    }
  }
  for (let round = 0; round < ROUNDS; round++) {
    const faulty = nodes[1 + pick(nodes.length - 1)];
    const others = nodes.filter((node) => node !== faulty);
    const fault = ["cut", "restarted", "restarted while cut"][round % 3];
    const { link, goto, name } = faulty;
    // What a replica without a file can't send before it ends is lost, as it says.
    const isCut = fault !== "restarted" && (fault === "cut" || name === "mirror");
    if (isCut) {
      link!.refuses = true;
      link!.cut();
    }
    await Promise.all([
      ...others.map((node) => visit(node, "beside a fault", 20)),
      visit(faulty, isCut ? fault : "restarted", 40),
    ]);
    if (fault !== "cut") await goto.restart();
    link!.refuses = false;
    await following(goto);
  }
  // The master is stopped and started, and counted on meanwhile elsewhere.
  await Promise.all([
    master.restart(),
    visit(nodes[1], "master restarted", 40),
  ]);
  const all = async (server: Goto) => {
    for (const key of KEYS) await counted(server, sent.get(key)!, key);
  };
  await all(master);
  // The mirror takes its place, with what nobody could take meanwhile.
  await copied(file, `${home.path}/store.jsonl`);
  await master.stop();
  await Promise.all([visit(nodes[1], "master gone", 40), visit(nodes[3], "master gone", 40)]);
  await mirror.stop();
  await using promoted = await start("-rpc", "-promote", `-file=${file}`);
  toTwo.leadTo(promoted.url);
  await agree([promoted], "a", "https://example.com/a");
  sent.set("a", sent.get("a")! + 1);
  await all(promoted);
  const total = [...sent.values()].reduce((sum, count) => sum + count);
  assert(total > ROUNDS * 100);
  console.log(`seed ${seed}: ${total} sent, and counted:`, Object.fromEntries(byFault));
});
