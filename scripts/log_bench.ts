/**
 * Measures the log in a database alone: durable lines a second, by the lines of a batch and the masters, and how long a
 * load takes.
 *
 *     DENO_KV_ATOMIC_WRITE_BATCH_TIMEOUT_MS=1 deno run -A --unstable-kv --unstable-net scripts/log_bench.ts [--far=30] [--load=1000000]
 *
 * @module
 */
import { type Log, LogConflict } from "../journal/log.ts";
import { Journal } from "../journal/journal.ts";
import { countLines } from "../journal/lines.ts";
import { LinkReader } from "../journal/link_reader.ts";
import { ConnectDatabase } from "../kv/connect.ts";
import type { Database } from "../kv/database.ts";
import { EmbeddedDatabase } from "../kv/embedded.ts";
import { KVLog } from "../kv/log.ts";
import { Table } from "../links/table.ts";
import { Denokv, TOKEN } from "../tests/denokv.ts";
import { tempDir } from "../tests/processes.ts";
import { Proxy } from "../tests/proxy.ts";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    far: { type: "string", default: "30" },
    load: { type: "string", default: "1000000" },
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    masters: { type: "string", default: "1,2,3" },
  },
});
const MS = 1000 * Number(values.seconds);
const line = (n: number) =>
  `{"Key":"k${n}","URL":"https://example.com/some/long/path/${n}","Created":1795600000}\n`;

/** Appends batches of so many lines for a while, as a store does. */
async function appendTo(log: Log, master: number, lines: number) {
  const ms: number[] = [];
  let conflicts = 0;
  const end = performance.now() + MS;
  for (let n = 0; performance.now() < end; n += lines) {
    const batch = Array.from({ length: lines }, (_, i) => line(master * 1e8 + n + i)).join("");
    const start = performance.now();
    for (;;) {
      try {
        await log.append(batch);
        break;
      } catch (error) {
        if (!(error instanceof LogConflict)) throw error;
        conflicts++;
      }
    }
    log.publish();
    ms.push(performance.now() - start);
  }
  ms.sort((a, b) => a - b);
  return {
    appends: ms.length,
    conflicts,
    p50: ms[ms.length >> 1],
    p99: ms[Math.floor(ms.length * 0.99)],
    max: ms.at(-1),
  };
}

const logsOf = (databases: Database[]) => databases.map((database) => new KVLog(database, "links"));

async function measure(name: string, logs: Log[], lines: number) {
  for (const log of logs) await log.load({ read: countLines });
  const start = performance.now();
  const done = await Promise.all(logs.map((log, i) => appendTo(log, i, lines)));
  const seconds = (performance.now() - start) / 1000;
  const all = done.reduce((sum, { appends }) => sum + appends, 0);
  const of = done.map(({ appends, conflicts, p50, p99, max }) =>
    `${appends} (${conflicts} conflicts, p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${
      max?.toFixed(0)
    } ms)`
  );
  console.log(
    `${name}, ${lines} a batch: ${Math.round(all * lines / seconds)} lines/s, ${
      Math.round(all / seconds)
    } appends/s: ${of.join("; ")}`,
  );
  for (const log of logs) await log.close();
}

async function load(name: string, log: Log) {
  const links = new Table();
  const start = performance.now();
  await log.load(new LinkReader(links));
  const ms = performance.now() - start;
  console.log(`${name}: loaded ${links.size} in ${Math.round(ms)} ms, ${log.bytes} bytes`);
  await log.close();
}

async function fill(log: Log, count: number) {
  await log.load({ read: countLines });
  for (let n = 0; n < count; n += 7000) {
    const some = Math.min(7000, count - n);
    await log.append(Array.from({ length: some }, (_, i) => line(n + i)).join(""));
    log.publish();
  }
  await log.close();
}

{
  using dir = tempDir();
  const path = `${dir.path}/journal.jsonl`;
  for (const lines of [64, 256, 1024]) {
    await measure("file", [await Journal.open(`${path}.${lines}`, { sync: true })], lines);
  }
  await fill(await Journal.open(path), Number(values.load));
  for (let n = 0; n < 3; n++) await load("file", await Journal.open(path));
}
if (values.only !== "denokv") {
  using dir = tempDir();
  const database = await EmbeddedDatabase.open(`${dir.path}/links.db`);
  for (const lines of [64, 256, 1024]) await measure("embedded", logsOf([database]), lines);
  await database.close();
  const other = await EmbeddedDatabase.open(`${dir.path}/large.db`);
  await fill(new KVLog(other, "links"), Number(values.load));
  for (let n = 0; n < 3; n++) await load("embedded", new KVLog(other, "links"));
  await other.close();
}
if (values.only !== "embedded") {
  for (const masters of values.masters.split(",").filter(Boolean).map(Number)) {
    for (const lines of [64, 256, 1024]) {
      await using service = await Denokv.start();
      const databases = Array.from(
        { length: masters },
        () => new ConnectDatabase(service.url, TOKEN),
      );
      await measure(`denokv, ${masters} masters`, logsOf(databases), lines);
      for (const database of databases) await database.close();
    }
  }
  {
    await using service = await Denokv.start();
    await using far = new Proxy(service.url);
    far.delay = Number(values.far) / 2;
    await using near = new Proxy(service.url);
    const databases = [new ConnectDatabase(near.url, TOKEN), new ConnectDatabase(far.url, TOKEN)];
    await measure(`denokv, one near, one ${values.far} ms away`, logsOf(databases), 256);
    for (const database of databases) await database.close();
  }
  await using service = await Denokv.start();
  const database = new ConnectDatabase(service.url, TOKEN);
  await fill(new KVLog(database, "links"), Number(values.load));
  for (let n = 0; n < 3; n++) await load("denokv", new KVLog(database, "links"));
  await database.close();
}
Deno.exit();
