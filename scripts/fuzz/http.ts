/**
 * HTTP requests, good ones and spoiled ones, over raw sockets to a server. What is good must be answered
 * as the API says. To anything else there may be any answer that is HTTP, and none that shows an error of
 * ours; the server goes on, and what nobody asked to change stays.
 *
 * @module
 */
import { add, follow, type Goto, start } from "../../tests/processes.ts";
import { random } from "../../tests/random.ts";
import { memoryOf } from "../../tests/sockets.ts";
import { type Answer, readAnswers } from "./answers.ts";
import { count, type Report } from "./mutate.ts";
import { makeGood, makeSpoiled, type Request } from "./requests.ts";

const AT_ONCE = 16; // connections
const QUIET_MS = 200; // a server that says nothing for so long waits for more
const GOOD_MS = 20_000; // for what is good there is time
const MAX_ANSWER = 1 << 20; // the feed has no end
const MAX_GROWTH = 300; // MB
const STATUSES = [
  ...[100, 200, 201, 204, 302, 303, 304, 400, 401, 403, 404, 405, 408, 409, 411, 413, 414],
  ...[415, 417, 421, 431, 501, 503, 505],
];

/** Sends so many requests, which come from `seed`. */
export async function fuzzHTTP(
  rounds: number,
  seed: number,
  tell: (text: string) => void = () => {},
): Promise<Report> {
  const { pick } = random(seed);
  const report: Report = { rounds, counts: {}, wrong: [] };
  await using server = await start("-rpc");
  const guarded = await add(server.url, "https://example.com/guarded", `guarded-${seed}`);
  const before = await memoryOf(server);
  for (let round = 0; round < rounds && report.wrong.length < 10; round += AT_ONCE) {
    const requests = Array.from(
      { length: Math.min(AT_ONCE, rounds - round) },
      (_, i) => pick(4) === 0 ? makeGood(pick, `g${seed}-${round + i}`) : makeSpoiled(pick),
    );
    await Promise.all(requests.map(async (request, i) => {
      const wrong = await ask(server, request, report);
      if (wrong === undefined) return;
      const text = JSON.stringify(request.text.slice(0, 3000));
      report.wrong.push(`seed ${seed}, round ${round + i}: ${text}: ${wrong}`);
    }));
    const { status, location } = await follow(server.url, guarded);
    if (status !== 302 || location !== "https://example.com/guarded") {
      report.wrong.push(`seed ${seed}, rounds from ${round}: a link was changed: ${status}`);
    }
    if (round % 1600 === 0) tell(`HTTP: ${round} requests`);
  }
  const grown = Math.round(await memoryOf(server) - before);
  if (grown > MAX_GROWTH) report.wrong.push(`seed ${seed}: it took ${grown} MB more`);
  const { code } = await server.stop();
  if (code !== 0) report.wrong.push(`seed ${seed}: it ended with ${code}`);
  // An error of ours, or something that isn't ours at all.
  const odd = server.stderr.split("\n").find((line) => line && !line.includes('"level":"info"'));
  if (odd) report.wrong.push(`seed ${seed}: it said ${odd}`);
  return report;
}

/** Sends one request and looks at what comes back; gives what is wrong with that. */
async function ask(
  { url }: Goto,
  request: Request,
  report: Report,
): Promise<string | undefined> {
  const { hostname, port } = new URL(url);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  const text = await exchange(conn, request);
  if (request.isHTTP2) return void count(report, "HTTP/2");
  let answers: Answer[];
  try {
    answers = readAnswers(text, request.expected === undefined && request.text.includes("HEAD"));
  } catch (error) {
    return `${error}: ${JSON.stringify(text.slice(0, 1000))}`;
  }
  if (answers.length === 0) count(report, "none");
  for (const answer of answers) {
    count(report, answer.status);
    const wrong = look(answer);
    if (wrong) return `${wrong}: ${JSON.stringify(answer)}`;
  }
  if (request.expected === undefined) return;
  const said = answers.map(({ status, headers }) => `${status} ${headers.get("location") ?? ""}`);
  const expected = request.expected.map((one) => `${one.status} ${one.location ?? ""}`);
  if (said.join() !== expected.join()) return `${said.join()} instead of ${expected.join()}`;
}

/** What no answer may be. */
function look({ status, headers, body }: Answer): string | undefined {
  if (!STATUSES.includes(status)) return "a status that is none of ours";
  if (/\.ts:\d|^ {4}at /m.test(body)) return "a stack trace";
  if (status === 302 && !headers.has("location")) return "no Location";
  if (status === 405 && !headers.has("allow")) return "no Allow";
  if (status === 503 && !headers.has("retry-after")) return "no Retry-After";
}

/** Sends all, and gives what comes back: until the end, or until nothing comes any more. */
async function exchange(conn: Deno.TcpConn, { text, expected }: Request): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let heard = performance.now();
  const reading = (async () => {
    for await (const chunk of conn.readable) {
      chunks.push(chunk);
      heard = performance.now();
      if ((size += chunk.length) > MAX_ANSWER) break;
    }
  })().catch(() => {}).then(() => true);
  const writer = conn.writable.getWriter();
  await writer.write(Uint8Array.from(text, (char) => char.charCodeAt(0))).catch(() => {});
  const patience = expected === undefined ? QUIET_MS : GOOD_MS;
  for (let ended = false, closed = false; !ended;) {
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(resolve, Math.max(10, heard + patience - performance.now()), false);
    ended = await Promise.race([reading, late]);
    clearTimeout(timer);
    if (ended || performance.now() - heard < patience) continue;
    if (closed) break;
    closed = true; // there won't be more: what was begun may be answered now
    heard = performance.now();
    await conn.closeWrite().catch(() => {});
  }
  return new TextDecoder("latin1").decode(await new Blob(chunks).bytes());
}
