/** `/metrics`, as Prometheus reads it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { LineWriter } from "../cli/stderr.ts";
import { Counters, COUNTERS_BYTES, total } from "../http/counters.ts";
import { Exposition, Histogram } from "../http/exposition.ts";
import { add, eventually, follow, type Goto, run, start, tempDir, within } from "./processes.ts";
import { agree, following } from "./replicas.ts";
import { tool, works } from "./tools.ts";

/** Prometheus' own checker: Debian's package `prometheus` has it. */
const canCheck = await works("promtool", "--version");

/** What a server tells at `address`, by name and labels as they stand there. */
async function scrape(address: string): Promise<{ text: string; of(sample: string): number }> {
  const response = await fetch(`${address}/metrics`);
  const text = await response.text();
  assertEquals(response.status, 200, text);
  assertEquals(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const samples = new Map<string, number>();
  for (const line of text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))) {
    const [, name, value] = /^(\w+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    assert(name !== undefined && Number.isFinite(Number(value)), line);
    assert(!samples.has(name), `twice: ${line}`);
    samples.set(name, Number(value));
  }
  return { text, of: (sample) => samples.get(sample) ?? NaN };
}

/** What `promtool` says of a text; nothing, if all is well. */
async function check(text: string): Promise<string> {
  const child = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout, stderr } = await within(10_000, "promtool", output);
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return code === 0 ? said : `exit ${code}: ${said}`;
}

/** Follows a link over so many connections, so that every thread has some to answer. */
async function followOften({ url }: Goto, key: string, times: number): Promise<void> {
  const { hostname, port, host } = new URL(url);
  for (let i = 0; i < times; i++) {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const request = `GET /${key} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    assertMatch(await new Response(connection.readable).text(), /^HTTP\/1.1 302 /);
  }
}

it("Counters of all threads add up, and those of a thread that died stay", () => {
  const memory = new SharedArrayBuffer(3 * COUNTERS_BYTES);
  const found = new Response(null, { status: 302 });
  for (const thread of [0, 1, 2, 1]) {
    const counters = new Counters(memory, thread);
    counters.redirected(found);
    counters.answered("api", new Response(null, { status: 404 }));
    counters.dropped(1);
    counters.followed({
      day: 1,
      hits: [["a", 2, 1], ["b", 0, 1]],
      rows: Uint32Array.of(7, 3, 8, 1),
    });
  }
  assertEquals(total(memory), {
    requests: [
      { handler: "redirect", code: 302, count: 4 },
      { handler: "api", code: 404, count: 4 },
    ],
    cacheHits: 4,
    cacheMisses: 0,
    eventsDropped: 4,
    hits: 24,
    previews: 8,
  });
});

it("Counters tell what was in memory from what had to be asked for", async () => {
  const memory = new SharedArrayBuffer(COUNTERS_BYTES);
  const counters = new Counters(memory);
  counters.redirected(new Response(null, { status: 302 }));
  counters.redirected(new Response(null, { status: 404 }));
  for (const status of [302, 302, 404, 503]) {
    await counters.redirected(Promise.resolve(new Response(null, { status })));
  }
  const { cacheHits, cacheMisses, requests } = total(memory);
  assertEquals([cacheHits, cacheMisses], [1, 4]);
  assertEquals(requests.map(({ code, count }) => [code, count]), [[302, 3], [404, 2], [503, 1]]);
});

it("Histogram puts a value into the bucket whose bound it doesn't exceed", () => {
  const histogram = new Histogram([1, 10]);
  for (const value of [0, 1, 1.5, 10, 11, 1000]) histogram.observe(value);
  assertEquals(histogram.buckets, [[1, 2], [10, 4]]);
  assertEquals([histogram.count, histogram.sum], [6, 1023.5]);
});

it("Exposition escapes labels, and leaves out what isn't known", () => {
  const text = new Exposition()
    .gauge("a", "A.", [[{ label: 'a"b\\c\nd', other: "" }, 1]])
    .counter("b_total", "B.", undefined)
    .counter("c_total", "C.", []).text;
  assertEquals(
    text,
    '# HELP a A.\n# TYPE a gauge\na{label="a\\"b\\\\c\\nd",other=""} 1\n' +
      "# HELP c_total C.\n# TYPE c_total counter\n",
  );
});

it("LineWriter tells of every line that it drops", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const write = async (bytes: Uint8Array) => (await promise, bytes.length);
  const writer = new LineWriter({ write });
  let lost = 0;
  writer.onlose = (count) => lost += count;
  for (let i = 0; i < 5; i++) writer.write("x".repeat(1 << 19));
  assertEquals(lost, 3);
  resolve();
  await writer.flush(10_000);
  assertEquals(lost, 3);
});

it("/metrics tells of all threads in one answer, whichever thread gives it", async () => {
  await using server = await start("-threads=3", "-rpc");
  const key = await add(server.url, "https://example.com/");
  await followOften(server, key, 60);
  await follow(server.url, "none");
  const json = { "content-type": "application/json" };
  const calls = ["docs", key].map((key, id) => {
    return { jsonrpc: "2.0", id, method: "Store.Get", params: [key] };
  });
  const init = { method: "POST", headers: json, body: JSON.stringify(calls) };
  await (await fetch(`${server.url}/rpc`, init)).body?.cancel();
  let last = 0;
  for (let i = 0; i < 12; i++) {
    const { of } = await scrape(server.url); // over connections to several threads
    assertEquals(of('goto_http_requests_total{handler="redirect",code="302"}'), 60);
    assertEquals(of('goto_http_requests_total{handler="redirect",code="404"}'), 1);
    assertEquals(of('goto_http_requests_total{handler="add",code="200"}'), 1);
    assertEquals(of('goto_rpc_calls_total{method="Store.Get"}'), 2);
    assertEquals(of('goto_rpc_errors_total{code="-32001"}'), 1);
    assertEquals(of("goto_rpc_batch_calls_sum"), 2);
    assertEquals(of("goto_commit_links_count"), 1);
    assertEquals(of("goto_sync_seconds_count"), 1);
    assertEquals(of("goto_links"), 1);
    assertEquals(of("goto_threads"), 3);
    const { size } = await Deno.stat("/dev/null").catch(() => ({ size: NaN }));
    if (size === 0) assert(of("goto_descriptors") > 3);
    assert(of("process_resident_memory_bytes") > 1e6);
    const scrapes = of('goto_http_requests_total{handler="metrics",code="200"}');
    assert(i === 0 || scrapes > last, "it counts itself");
    last = scrapes || 0;
  }
});

it("/metrics of a replica tells how far it is, and of those below it", async () => {
  await using master = await start("-rpc");
  await using replica = await start(`-master=${master.url}`, "-rpc");
  await using mirror = await start(`-master=${replica.url}`, "-file=mirror.jsonl");
  await following(replica);
  await following(mirror);
  const key = await add(mirror.url, "https://example.com/");
  await agree([master, replica, mirror], key, "https://example.com/");
  await eventually(async () => {
    const [above, between, below] = await Promise.all(
      [master, replica, mirror].map(({ url }) => scrape(url)),
    );
    const position = above.of("goto_feed_position_bytes");
    assert(position > 0);
    for (const { of } of [between, below]) {
      assertEquals(of("goto_feed_position_bytes"), position);
      assertEquals(of("goto_feed_lag_bytes"), 0);
      assert(of("goto_master_request_seconds_count") > 0);
    }
    assertEquals([above, between, below].map(({ of }) => of("goto_followers")), [2, 2, 0]);
    assertEquals(below.of("goto_journal_bytes"), position);
    assert(below.of("goto_feed_lag_seconds") >= 0);
    assertEquals(above.of("goto_master_errors_total"), NaN, "a master has none");
  });
  await mirror.stop();
  await eventually(async () => (await scrape(replica.url)).of("goto_followers") === 0);
  master.kill();
  await master.status;
  await follow(replica.url, "other");
  await eventually(async () => {
    const { of } = await scrape(replica.url);
    assert(of("goto_master_errors_total") > 0);
    assertEquals([of("goto_ready"), of("goto_writable")], [1, 0]);
    assert(of("goto_cache_misses_total") > 0);
  });
});

it("-admin serves /healthz, /readyz and /metrics at that address, and nowhere else", async () => {
  for (const threads of [1, 2]) {
    await using server = await start("-admin=127.0.0.1:0", `-threads=${threads}`);
    const { admin } = await server.waitForLog(({ msg }) => msg === "serving");
    const status = async (url: string) => {
      const response = await fetch(url);
      await response.body?.cancel();
      return response.status;
    };
    for (const path of ["healthz", "readyz", "metrics"]) {
      assertEquals(await status(`${admin}/${path}`), 200, path);
      for (let i = 0; i < 4; i++) assertEquals(await status(`${server.url}/${path}`), 404, path);
    }
    const key = await add(server.url, "https://example.com/");
    for (const path of [key, "", "add", "api/links"]) {
      assertEquals(await status(`${admin}/${path}`), 404, path);
    }
    const post = await fetch(`${admin}/metrics`, { method: "POST" });
    await post.body?.cancel();
    assertEquals(post.status, 405);
    const flags = [`-admin=${new URL(admin).host}`, "-http=127.0.0.1:1", "-healthcheck"];
    assertEquals(await run(...flags), { code: 0, stdout: "ok\n", stderr: "" });
  }
});

it("an -admin address that is taken ends the program with one line", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { code, stderr } = await run("-http=127.0.0.1:0", `-admin=127.0.0.1:${taken.addr.port}`);
  assertEquals(code, 1);
  assertMatch(stderr, /^goto: can't listen on 127\.0\.0\.1:\d+: .*\n$/);
});

it("promtool finds nothing wrong with /metrics", { ignore: !canCheck }, async () => {
  await using master = await start("-rpc", "-threads=2");
  await using mirror = await start(`-master=${master.url}`, "-file=mirror.jsonl");
  await using cache = await start(`-master=${master.url}`);
  const key = await add(mirror.url, "https://example.com/");
  await agree([mirror, cache], key, "https://example.com/");
  for (const { url } of [master, mirror, cache]) {
    const { text } = await scrape(url);
    assertEquals(await check(text), "", text);
  }
  assertMatch(await check("goto_bad 1\n# TYPE goto_bad counter\n"), /./, "it finds what is wrong");
});

it("promtool takes the alerts, and they fire when they should", { ignore: !canCheck }, async () => {
  using dir = tempDir();
  const rules = `${import.meta.dirname}/../scripts/alerts.yaml`;
  const series = (name: string, values: string) =>
    `      - {series: '${name}', values: '${values}'}`;
  const fires = (alert: string, instances: string[]) =>
    `      - {eval_time: 20m, alertname: ${alert}, exp_alerts: [${
      instances.map((instance) => `{exp_labels: {instance: ${instance}, job: goto}}`).join(", ")
    }]}`;
  const bare = (line: string) => line.replaceAll(", job: goto", ""); // summed up without the job
  await Deno.writeTextFile(`${dir.path}/rules.yaml`, withoutNotes(await Deno.readTextFile(rules)));
  await Deno.writeTextFile(
    `${dir.path}/test.yaml`,
    [
      "rule_files: [rules.yaml]",
      "tests:",
      "  - interval: 1m",
      "    input_series:",
      series('up{job="goto",instance="gone"}', "1x10 0x20"),
      series('goto_ready{job="goto",instance="sick"}', "0x30"),
      series('goto_ready{job="goto",instance="well"}', "1x30"),
      series('goto_writable{job="goto",instance="full"}', "0x30"),
      series('goto_writable{job="goto",instance="well"}', "1x30"),
      series('goto_http_requests_total{job="goto",instance="sick",code="503"}', "0+2x30"),
      series('goto_http_requests_total{job="goto",instance="sick",code="302"}', "0+90x30"),
      series('goto_http_requests_total{job="goto",instance="well",code="503"}', "0+1x30"),
      series('goto_http_requests_total{job="goto",instance="well",code="302"}', "0+200x30"),
      series('goto_feed_lag_seconds{job="goto",instance="sick"}', "100x30"),
      series('goto_feed_lag_seconds{job="goto",instance="well"}', "59x30"),
      series('goto_feed_lag_bytes{job="goto",instance="slow"}', "2000000x30"),
      "    alert_rule_test:",
      fires("GotoDown", ["gone", "sick"]),
      fires("GotoReadOnly", ["full"]),
      bare(fires("GotoFailing", ["sick"])),
      fires("GotoLagging", ["sick", "slow"]),
    ].join("\n"),
  );
  const { success, stdout, stderr } = await tool(
    "promtool",
    "test",
    "rules",
    `${dir.path}/test.yaml`,
  );
  assert(success, stdout + stderr);
});

/** What is said of an alert that fires isn't what is tested. */
function withoutNotes(rules: string): string {
  return rules.replace(/^ {8}annotations:\n {10}.*\n/gm, "");
}

it("the chapter shows the alerts as they are", async () => {
  const [alerts, chapter] = await Promise.all(
    ["scripts/alerts.yaml", "docs/monitoring.md"].map((file) =>
      Deno.readTextFile(`${import.meta.dirname}/../${file}`)
    ),
  );
  assert(chapter.includes(alerts), "docs/monitoring.md and scripts/alerts.yaml differ");
});

it("the Grafana dashboard asks for metrics that there are", async () => {
  const dashboard = await Deno.readTextFile(`${import.meta.dirname}/../scripts/grafana.json`);
  await using master = await start("-rpc");
  await using mirror = await start(`-master=${master.url}`, "-file=mirror.jsonl");
  const key = await add(mirror.url, "https://example.com/");
  await agree([mirror], key, "https://example.com/");
  const names = new Set(dashboard.match(/\b(?:goto|process)_[a-z_]+(?=\{)/g));
  assert(names.size > 10, `${names.size}`);
  await eventually(async () => {
    const texts = await Promise.all([master, mirror].map(({ url }) => scrape(url)));
    const all = texts.map(({ text }) => text).join("");
    for (const name of names) assertMatch(all, new RegExp(`^(?:# TYPE )?${name}\\b`, "m"), name);
  });
});
