/**
 * Sends goto what nobody should send, as long as one likes, and looks whether its answers are right.
 *
 *     deno task fuzz -- --seconds=600
 *     deno task fuzz -- --only=rpc --seed=123 --rounds=1    # once more what went wrong with this seed
 *
 * @module
 */
import { random } from "../tests/random.ts";
import type { Report } from "./fuzz/mutate.ts";
import { fuzzFeed } from "./fuzz/feed.ts";
import { fuzzHTTP } from "./fuzz/http.ts";
import { fuzzRPC } from "./fuzz/rpc.ts";
import { takeArgs } from "./args.ts";

/** The fuzzers, and how many rounds each makes with one seed. */
const FUZZERS: Record<string, { fuzz: typeof fuzzRPC; rounds: number }> = {
  http: { fuzz: fuzzHTTP, rounds: 800 },
  rpc: { fuzz: fuzzRPC, rounds: 10_000 },
  feed: { fuzz: fuzzFeed, rounds: 48 },
};

const values = takeArgs("fuzz", {
  seconds: { type: "string", default: "60" },
  rounds: { type: "string", default: "Infinity" }, // each with a seed of its own
  seed: { type: "string", default: `${random().seed}` },
  only: { type: "string", default: "" },
});
const chosen = Object.entries(FUZZERS).filter(([name]) => name.includes(values.only));
const end = performance.now() + 1000 * Number(values.seconds);
let seed = Number(values.seed);
for (let round = 0; round < Number(values.rounds) && performance.now() < end; round++, seed++) {
  for (const [name, { fuzz, rounds }] of chosen) {
    console.log(`${name}: ${rounds} rounds with seed ${seed}`);
    const { counts, wrong }: Report = await fuzz(rounds, seed);
    console.log(counts);
    for (const line of wrong) console.error(`wrong: ${line}`);
    if (wrong.length > 0) Deno.exitCode = 1;
  }
}
