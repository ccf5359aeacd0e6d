/** A worker for tests/table_test.ts: it reads a table while another thread changes it. */
import { type TableMemory, TableReader } from "../../links/table.ts";

/** What it is told; it answers over `port` at the end. `versions` has two numbers a key: what it leads to at least, and at most. */
export type Order =
  | {
    kind: "begin";
    memory: TableMemory;
    versions: Int32Array;
    keys: number;
    port: MessagePort;
  }
  | { kind: "memory"; memory: TableMemory }
  | { kind: "end" };

/** Every change whose number is a multiple of this deletes. */
const DELETES = 7;

/** What it found. */
export interface Findings {
  reads: number;
  /** Reads of deleted links. */
  deleted: number;
  /** Reads that only the owner can answer. */
  unanswered: number;
  wrong: string[];
}

let reader: TableReader;
let ended = false;

/** Reads keys at random: each must be what was current at some time during the read. */
async function read(versions: Int32Array, keys: number): Promise<Findings> {
  const findings: Findings = { reads: 0, deleted: 0, unanswered: 0, wrong: [] };
  const last = new Int32Array(keys);
  while (!ended && findings.wrong.length < 10) {
    for (let i = 0; i < 1000; i++) {
      const n = Math.floor(Math.random() * keys);
      const least = Atomics.load(versions, 2 * n);
      const text = reader.get(`key-${n}`);
      const most = Atomics.load(versions, 2 * n + 1);
      findings.reads++;
      if (text === undefined) {
        findings.unanswered++;
        continue;
      }
      if (text === "") {
        // It was deleted: by the last change that is sure to be there, or by one that came meanwhile.
        if (least === most && least % DELETES !== 0) {
          findings.wrong.push(`${n}: deleted at ${least}`);
        }
        last[n] = Math.max(last[n], least);
        findings.deleted++;
        continue;
      }
      const [, key, version] = /^(\d+)\/(\d+)\/x*$/.exec(text) ?? [];
      const found = Number(version);
      if (
        Number(key) !== n || found % DELETES === 0 ||
        !(found >= least && found <= most && found >= last[n])
      ) {
        findings.wrong.push(`${n}: ${text}, not ${least} to ${most}, last ${last[n]}`);
      }
      last[n] = found;
    }
    await new Promise((resolve) => setTimeout(resolve)); // for messages
  }
  return findings;
}

addEventListener("message", async (event) => {
  if (!(event instanceof MessageEvent)) return;
  const order: Order = event.data;
  if (order.kind === "end") ended = true;
  else reader = new TableReader(order.memory);
  if (order.kind !== "begin") return;
  order.port.postMessage("reading");
  order.port.postMessage(await read(order.versions, order.keys));
});
