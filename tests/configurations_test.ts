/** Every configuration in docs/ and scripts/, as far as its program is there: Debian has them all. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { block, blocks, caddy, HangingUp, nginx, Program, put, read } from "./configurations.ts";
import { add, breathe, eventually, follow, type Goto, start, tempDir } from "./processes.ts";
import { agree, following, freePort, keep, ready } from "./replicas.ts";
import { tool, works } from "./tools.ts";

const without = async (command: string, ...args: string[]) => {
  const ignore = !await works(command, ...args);
  if (ignore) console.log(`tests of ${command} are ignored: it is not there`);
  return { ignore };
};
const noNginx = await without("nginx", "-v");
const noCaddy = await without("caddy", "version");
const noPrometheus = await without("prometheus", "--version");
const noPromtool = await without("promtool", "--version");
const noSystemd = await without("systemd-analyze", "--version");
const noCompose = await without("docker", "compose", "version");
const noCurl = await without("curl", "--version");

const hostOf = ({ url }: { url: string }) => new URL(url).host;
const LONG = `https://example.com/${"x".repeat(8000)}`;

/** The status of an answer; nobody is followed. */
async function status(url: string, init: RequestInit = {}): Promise<number> {
  const signal = AbortSignal.timeout(10_000);
  const response = await fetch(url, { ...init, redirect: "manual", signal });
  await response.body?.cancel();
  return response.status;
}

const post = (base: string) =>
  status(`${base}/add`, { method: "POST", body: new URLSearchParams({ url: "example.com" }) });

/** How many links a server has. */
const count = async ({ url }: Goto) => (await ready(url)).links;

it("this test knows every configuration in docs/", async () => {
  const known = ["sh", "console", "json", "text", "ts", "js", "http", ""]; // to be typed, or read
  const found = (await blocks()).filter(({ language }) => !known.includes(language));
  assertEquals(found.map(({ file, language }) => `${file} ${language}`), [
    "docs/monitoring.md yaml", // what is scraped
    "docs/monitoring.md yaml", // scripts/alerts.yaml
    "docs/operations.md ini", // a port below 1024
    "docs/operations.md ini", // a key
    "docs/operations.md nginx",
    "docs/operations.md caddyfile",
    "docs/team.md nginx",
  ]);
});

describe("nginx, as docs/operations.md has it", noNginx, () => {
  /** That nginx, in front of servers, with `inner` for those who may make links. */
  const front = async (servers: string[], inner = "127.0.0.0/8") => {
    const port = freePort();
    const text = put(
      await block("docs/operations.md", "nginx"),
      ["listen 80;", `listen 127.0.0.1:${port};`],
      ["server 127.0.0.1:8080;", servers.map((server) => `server ${server};`).join(" ")],
      ["10.0.0.0/8", inner],
    );
    return await nginx(text, port);
  };

  it("passes on the longest links, and what the bookmarklet asks for", async () => {
    await using goto = await start("-proxy=1");
    await using proxy = await front([hostOf(goto)]);
    const key = await add(proxy.url, LONG);
    assert((await follow(proxy.url, key)).location === LONG);
    const cyrillic = encodeURIComponent(`https://example.com/${"ж".repeat(8000)}`); // 48,000 signs
    assertEquals(await status(`${proxy.url}/add?url=${cyrillic}`), 200);
  });

  it("keeps the inside from the public, and changes from strangers", async () => {
    await using goto = await start("-proxy=1", "-rpc");
    await add(goto.url, "https://example.com/", "docs");
    await using inside = await front([hostOf(goto)]);
    await using outside = await front([hostOf(goto)], "10.0.0.0/8");
    for (const path of ["rpc", "rpc/log", "metrics"]) {
      assertEquals(await status(`${goto.url}/${path}`) !== 404, true);
      for (const { url } of [inside, outside]) assertEquals(await status(`${url}/${path}`), 404);
    }
    for (const path of ["add", "api/links", ".all", ".export", ".detail/docs"]) {
      const both = [await status(`${inside.url}/${path}`), await status(`${outside.url}/${path}`)];
      assertEquals(both, [200, 403], path);
    }
    for (const { url } of [inside, outside]) assertEquals(await status(`${url}/docs`), 302);
  });

  it("asks another server for what one fails, and repeats no POST", async () => {
    await using goto = await start("-proxy=1");
    await add(goto.url, "https://example.com/", "docs");
    for (const method of ["GET", "HEAD"]) {
      await using bad = await Promise.resolve(new HangingUp());
      await using proxy = await front([bad.address, hostOf(goto)]);
      assertEquals(await status(`${proxy.url}/docs`, { method }), 302);
      assertEquals(bad.methods, [method]);
    }
    await using bad = await Promise.resolve(new HangingUp());
    await using proxy = await front([bad.address, hostOf(goto)]);
    assertEquals([await post(proxy.url), await count(goto)], [502, 1]);
    assertEquals(bad.methods, ["POST"]);
    // What can't be sent at all goes elsewhere.
    await using half = await front([`127.0.0.1:${freePort()}`, hostOf(goto)]);
    assertEquals([await post(half.url), await count(goto)], [200, 2]);
  });

  it("takes no server out for what all have in common: a master that is gone", async () => {
    await using master = await start("-rpc");
    await add(master.url, "https://example.com/", "docs");
    await using one = await start("-proxy=1", `-master=${master.url}`);
    await using two = await start("-proxy=1", `-master=${master.url}`);
    for (const replica of [one, two]) await keep(replica, "docs");
    await using proxy = await front([one, two].map(hostOf));
    master.kill("SIGKILL");
    for (const replica of [one, two]) {
      await replica.waitForLog(({ msg }) => msg === "lost the master");
    }
    for (let n = 0; n < 10; n++) {
      assertEquals(await status(`${proxy.url}/unknown${n}`), 503);
      assertEquals(await status(`${proxy.url}/docs`), 302);
    }
  });

  it("asks another server for a redirect where one hangs", async () => {
    await using hung = await start("-proxy=1");
    await using goto = await start("-proxy=1");
    for (const { url } of [hung, goto]) await add(url, "https://example.com/", "docs");
    await using proxy = await front([hung, goto].map(hostOf));
    hung.kill("SIGSTOP");
    for (let n = 0; n < 4; n++) assertEquals(await status(`${proxy.url}/docs`), 302);
  });

  it("takes POSTs of clients that ask for h2c, which goto alone doesn't", noCurl, async () => {
    await using goto = await start("-proxy=1");
    await using proxy = await front([hostOf(goto)]);
    const ask = async (base: string, how: string) => {
      const url = `${base}/add`;
      const args = ["-s", how, "-o", "/dev/null", "-w", "%{http_code}", "-d", "url=a.example", url];
      return (await tool("curl", ...args)).stdout;
    };
    assertEquals(await ask(proxy.url, "--http2"), "200");
    const direct = ["--http2", "--http1.1", "--http2-prior-knowledge"];
    const codes = await Promise.all(direct.map((how) => ask(goto.url, how)));
    assertEquals(codes, ["400", "200", "200"], "as docs/api.md says");
  });
});

it(
  "nginx, as docs/team.md has it, knows who makes links, and passes on the longest",
  noNginx,
  async () => {
    await using goto = await start("-proxy=1", "-user-header=X-Forwarded-User", "-rpc");
    const port = freePort();
    const text = put(
      await block("docs/team.md", "nginx"),
      ["listen 80;", `listen 127.0.0.1:${port};`],
      ["127.0.0.1:8080", hostOf(goto)],
      ["/etc/nginx/people", "DIR/people"],
    );
    await using proxy = await nginx(text, port, { people: "ada:{PLAIN}secret\n" });
    const form = { method: "POST", body: new URLSearchParams({ url: LONG, key: "docs" }) };
    assertEquals(await status(`${proxy.url}/add`, form), 401);
    const authorization = `Basic ${btoa("ada:secret")}`;
    assertEquals(await status(`${proxy.url}/add`, { ...form, headers: { authorization } }), 200);
    const { author } = await (await fetch(`${goto.url}/api/links/docs`)).json();
    assertEquals(author, "ada");
    assert((await follow(proxy.url, "docs")).location === LONG);
    const long = `${proxy.url}/add?url=${encodeURIComponent(LONG)}`;
    assertEquals(await status(long, { headers: { authorization } }), 200);
    for (const path of ["rpc", "rpc/log", "metrics"]) {
      assertEquals(await status(`${proxy.url}/${path}`), 404);
    }
  },
);

describe("Caddy", noCaddy, () => {
  it("as docs/operations.md has it, keeps what nginx keeps, and repeats GET and HEAD alone", async () => {
    await using goto = await start("-proxy=1", "-rpc");
    await add(goto.url, LONG, "docs");
    const front = async (servers: string, inner: string) => {
      const port = freePort();
      const text = put(
        await block("docs/operations.md", "caddyfile"),
        ["go.example.com {", `:${port} {\n\tbind 127.0.0.1`],
        ["127.0.0.1:8080", servers],
        ["10.0.0.0/8", inner],
      );
      return await caddy(`{\n\tadmin off\n}\n${text}`, port);
    };
    await using outside = await front(hostOf(goto), "10.0.0.0/8");
    for (const path of ["rpc", "rpc/log", "metrics"]) {
      assertEquals(await status(`${outside.url}/${path}`), 404, path);
    }
    for (const path of ["add", "api/links", ".all", ".export", ".detail/docs"]) {
      assertEquals(await status(`${outside.url}/${path}`), 403, path);
    }
    assert((await follow(outside.url, "docs")).location === LONG);
    await using bad = await Promise.resolve(new HangingUp());
    await using proxy = await front(`${bad.address} ${hostOf(goto)}`, "127.0.0.0/8");
    await checkRetries(proxy, bad, goto);
  });

  it("as docs/operations.md has it, leaves out a server that can't be reached, and makes no link twice", async () => {
    await using goto = await start("-proxy=1");
    await using other = await start("-proxy=1");
    const port = freePort();
    const text = put(
      await block("docs/operations.md", "caddyfile"),
      ["go.example.com {", `:${port} {\n\tbind 127.0.0.1`],
      ["127.0.0.1:8080", `${hostOf(other)} ${hostOf(goto)}`],
      ["10.0.0.0/8", "127.0.0.0/8"],
    );
    const servers = text.replaceAll(/# (?=health_|fail_duration)/g, "");
    await using proxy = await caddy(`{\n\tadmin off\n}\n${servers}`, port);
    other.kill("SIGKILL");
    await other.status;
    let made = 0;
    let inARow = 0;
    await eventually(async () => {
      const code = await post(proxy.url);
      if (code !== 200) assertEquals(code, 502); // that of Caddy up to 2.11.1
      inARow = code === 200 ? inARow + 1 : 0;
      made += Number(code === 200);
      return inARow === 12;
    }, 20_000);
    assertEquals(await count(goto), made);
  });

  // That of compose.yaml, and that in compose.kv.yaml.
  const balancers: [file: string, names: string[]][] = [
    ["scripts/Caddyfile", ["replica1:8080", "replica2:8080"]],
    ["scripts/compose.kv.yaml", ["master1:8080", "master2:8080"]],
  ];
  for (const [file, names] of balancers) {
    const front = async (servers: string[]) => {
      const whole = await read(file);
      const inner = /content: \|\n(.*?)\n\n/s.exec(whole)?.[1].replaceAll(/^ {6}/gm, "");
      const port = freePort();
      const text = put(
        inner ?? whole,
        ...names.map((name, n): [string, string] => [name, servers[n]]),
        [":8080 {", `:${port} {\n\tbind 127.0.0.1`],
      );
      return await caddy(text, port);
    };

    it(`as ${file} has it, repeats GET and HEAD at the next server, and nothing else`, async () => {
      await using goto = await start();
      await add(goto.url, "https://example.com/", "docs");
      await using bad = await Promise.resolve(new HangingUp());
      await using proxy = await front([bad.address, hostOf(goto)]);
      await checkRetries(proxy, bad, goto);
    });

    it(`as ${file} has it, goes on with redirects while the master and a replica are away`, async () => {
      await using master = await start("-rpc");
      await add(master.url, "https://example.com/", "docs");
      await using one = await start(`-master=${master.url}`, "-file=mirror.jsonl");
      await using two = await start(`-master=${master.url}`, "-file=mirror.jsonl");
      await agree([one, two], "docs", "https://example.com/");
      for (const replica of [one, two]) await following(replica);
      await using proxy = await front([one, two].map(hostOf));
      assertEquals(await post(proxy.url), 200);
      master.kill("SIGSTOP");
      const goOn = async () => {
        const end = performance.now() + 2500; // two rounds of asking how they are
        while (performance.now() < end) {
          assertEquals(await status(`${proxy.url}/docs`), 302);
          await breathe();
        }
      };
      await goOn();
      assertEquals(await post(proxy.url), 503);
      two.kill("SIGKILL");
      await two.status;
      await goOn();
    });
  }
});

/** Asks until the server that hangs up has been asked by each method. */
async function checkRetries(proxy: Program, bad: HangingUp, goto: Goto): Promise<void> {
  for (const method of ["GET", "HEAD"]) {
    await eventually(async () => {
      assertEquals(await status(`${proxy.url}/docs`, { method }), 302);
      return bad.methods.includes(method);
    }, 30_000);
  }
  const before = await count(goto);
  let made = 0;
  let failed = 0;
  await eventually(async () => {
    const code = await post(proxy.url);
    if (code === 200) made++;
    else failed++;
    return failed > 0;
  }, 30_000);
  assertEquals([bad.methods.filter((method) => method === "POST").length, failed], [1, 1]);
  assertEquals(await count(goto) - before, made);
}

it(
  "promtool takes what docs/monitoring.md says of scraping, and the alerts",
  noPromtool,
  async () => {
    using dir = tempDir();
    const text = await block("docs/monitoring.md", "yaml", "scrape_configs");
    await Deno.writeTextFile(`${dir.path}/prometheus.yml`, text);
    await Deno.writeTextFile(`${dir.path}/alerts.yaml`, await read("scripts/alerts.yaml"));
    const { success, stdout, stderr } = await tool(
      "promtool",
      "check",
      "config",
      `${dir.path}/prometheus.yml`,
    );
    assert(success, stdout + stderr);
  },
);

it(
  "Prometheus scrapes as docs/monitoring.md has it, under the job that the alerts name",
  noPrometheus,
  async () => {
    await using goto = await start("-admin=127.0.0.1:0");
    const { admin } = await goto.waitForLog(({ msg }) => msg === "serving");
    const alerts = await read("scripts/alerts.yaml");
    const text = put(
      await block("docs/monitoring.md", "yaml", "scrape_configs"),
      ['"10.0.0.5:9090", "10.0.0.6:9090"', JSON.stringify(new URL(admin).host)],
      ["scrape_interval: 15s", "scrape_interval: 1s"],
    );
    const port = freePort();
    const files = { "prometheus.yml": text, "alerts.yaml": alerts };
    await using prometheus = await Program.start("prometheus", port, files, (dir) => [
      `--config.file=${dir}/prometheus.yml`,
      `--storage.tsdb.path=${dir}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
    const ask = async (query: string) => {
      const url = `${prometheus.url}/api/v1/query?query=${encodeURIComponent(query)}`;
      const { data } = await (await fetch(url)).json();
      return data.result.map(({ value }: { value: [number, string] }) => value[1]);
    };
    await eventually(async () => {
      for (const query of ['up{job="goto"}', "goto_ready", "goto_writable"]) {
        assertEquals(await ask(query), ["1"], query);
      }
    }, 30_000);
  },
);

it(
  "systemd-analyze finds nothing wrong with the unit, nor with what docs/ adds to it",
  noSystemd,
  async () => {
    const added = (await blocks()).filter(({ language }) => language === "ini");
    for (const more of [[], ...added.map((one) => [one]), added]) {
      using dir = tempDir();
      await Deno.mkdir(`${dir.path}/goto.service.d`);
      // It looks for the program.
      const unit = put(await read("scripts/goto.service"), ["/usr/local/bin/goto", "/bin/true"]);
      await Deno.writeTextFile(`${dir.path}/goto.service`, unit);
      for (const [n, { text }] of more.entries()) {
        await Deno.writeTextFile(`${dir.path}/goto.service.d/${n}.conf`, text);
      }
      const { success, stderr } = await tool(
        "systemd-analyze",
        "verify",
        `${dir.path}/goto.service`,
      );
      assertEquals([success, stderr], [true, ""], more.map(({ text }) => text).join("\n"));
    }
  },
);

for (const file of ["compose.yaml", "compose.kv.yaml"]) {
  it(`docker compose takes scripts/${file}`, noCompose, async () => {
    const path = `${import.meta.dirname}/../scripts/${file}`;
    const env = ["env", "GOTO_RPC_TOKEN=x", "GOTO_KV_TOKEN=x"];
    const [command, ...args] = [...env, "docker", "compose", "-f", path, "config", "--quiet"];
    const { success, stderr } = await tool(command, ...args);
    assert(success, stderr);
  });
}
