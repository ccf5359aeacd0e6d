/** HTTPS, with certificates made here. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Authority, nameOf } from "./authority.ts";
import { breathe, eventually, type Goto, run, start, within } from "./processes.ts";
import { tool, works } from "./tools.ts";

const ignore = !await works("openssl", "version");

async function post(client: Deno.HttpClient, base: string, url: string): Promise<string> {
  const body = new URLSearchParams({ url });
  const response = await fetch(`${base}/add`, { client, method: "POST", body });
  assertEquals(response.status, 200);
  return (await response.text()).trim();
}

async function where(client: Deno.HttpClient, base: string, key: string) {
  const response = await fetch(`${base}/${key}`, { client, redirect: "manual" });
  await response.body?.cancel();
  return response.headers.get("location");
}

it(
  "with -tls-cert and -tls-key goto speaks HTTPS, and says so in short links",
  { ignore },
  async () => {
    using authority = await Authority.make();
    using client = authority.client();
    for (const threads of [1, 2]) {
      await using master = await start(...authority.flags, `-threads=${threads}`);
      assertMatch(master.url, /^https:\/\/127\.0\.0\.1:\d+$/);
      const { port } = new URL(master.url);
      assertEquals(
        await post(client, master.url, "https://example.com/"),
        `https://localhost:${port}/0`,
      );
      assertEquals(await where(client, master.url, "0"), "https://example.com/");
      assertEquals(await nameOf(master), "first");
      const plain = await fetch(master.url.replace("https", "http")).then(
        ({ status }) => status,
        String,
      );
      assert(plain !== 200, "it speaks HTTPS alone");
    }
  },
);

it(
  "HTTPS is HTTP/2 for those who speak it",
  { ignore: ignore || !await works("curl", "-V") },
  async () => {
    using authority = await Authority.make();
    await using master = await start(...authority.flags);
    for (const [flag, version] of [["--http2", "2"], ["--http1.1", "1.1"]]) {
      const args = [
        "-s",
        "--cacert",
        authority.ca,
        flag,
        "-w",
        "%{http_version}",
        "-o",
        "/dev/null",
      ];
      const { stdout, stderr } = await tool("curl", ...args, `${master.url}/healthz`);
      assertEquals(stdout, version, stderr);
    }
  },
);

it(
  "a replica reaches an https:// master whose authority -tls-ca names, and no other",
  { ignore },
  async () => {
    using authority = await Authority.make();
    using client = authority.client();
    await using master = await start(...authority.flags, "-rpc", "-rpc-token=secret");
    const flags = [`-master=${master.url}`, "-rpc-token=secret"];
    const ca = `-tls-ca=${authority.ca}`;
    await using replica = await start(...flags, ca);
    await using mirror = await start(...flags, ca, "-file=mirror.jsonl", ...authority.flags);
    await eventually(async () => (await (await fetch(`${replica.url}/readyz`)).json()).writable);
    const [, key] = /\/(\w+)$/.exec(await post(client, replica.url, "https://example.com/")) ?? [];
    for (const { url } of [master, replica, mirror]) {
      await eventually(async () => {
        return await where(client, url, key ?? "") === "https://example.com/";
      });
    }
    await eventually(async () => {
      const response = await fetch(`${mirror.url}/readyz`, { client });
      const { complete, lagBytes } = await response.json();
      return complete && lagBytes === 0;
    });
    await using stranger = await start(...flags);
    const { reason } = await stranger.waitForLog(({ msg }) => msg === "lost the master");
    assertMatch(reason, /certificate|UnknownIssuer/i);
  },
);

it("-tls-ca is read again when its file changes", { ignore }, async () => {
  using authority = await Authority.make();
  using next = await Authority.make();
  await using master = await start(...authority.flags, "-rpc");
  await using replica = await start(
    `-master=${master.url}`,
    `-tls-ca=${authority.ca}`,
    "-file=m.jsonl",
  );
  using client = authority.client();
  await post(client, master.url, "https://example.com/0");
  await eventually(async () => await where(client, replica.url, "0") === "https://example.com/0");
  // Another authority's certificate: whoever trusts the one before alone is lost.
  for (const name of ["cert", "key"] as const) await Deno.copyFile(next[name], authority[name]);
  await master.restart();
  const { reason } = await replica.waitForLog(({ msg }) => msg === "lost the master");
  assertMatch(reason, /certificate|UnknownIssuer|refused|reset|closed/i);
  await Deno.writeTextFile(authority.ca, "half of a");
  await Deno.copyFile(next.ca, `${authority.ca}.new`);
  await Deno.rename(`${authority.ca}.new`, authority.ca);
  using trusting = next.client();
  await post(trusting, master.url, "https://example.com/1");
  await eventually(async () => await where(client, replica.url, "1") === "https://example.com/1");
});

/** Follows a link over one connection after the other, as long as it is told to; gives how often. */
async function keepFollowing(authority: Authority, { url }: Goto, stop: { now: boolean }) {
  const { hostname, port } = new URL(url);
  const caCerts = [await Deno.readTextFile(authority.ca)];
  const request = new TextEncoder().encode("GET /0 HTTP/1.1\r\nhost: localhost\r\n\r\n");
  let followed = 0;
  let connections = 0;
  while (!stop.now) {
    // Who is just connecting may meet a socket that closes, and tries again.
    const connection = await Deno.connectTls({ hostname, port: Number(port), caCerts });
    try {
      await connection.handshake();
    } catch (error) {
      assert(
        error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.UnexpectedEof,
      );
      connection.close();
      continue;
    }
    connections++;
    const buffer = new Uint8Array(4096);
    let answered = performance.now();
    follow: for (let last = false; !stop.now && !last;) {
      const idle = performance.now() - answered;
      await connection.write(request);
      let head = "";
      while (!head.endsWith("\r\n\r\n")) {
        const n = await connection.read(buffer);
        // Where this process had no turn for so long, the connection was idle, and may be closed.
        if (n === null && head === "" && idle > 500) break follow;
        if (n === null) throw new Error(`cut off after ${followed} answers: ${head}`);
        head += new TextDecoder().decode(buffer.subarray(0, n));
      }
      assertMatch(head, /^HTTP\/1.1 302 /);
      last = /^connection: close/im.test(head);
      followed++;
      await breathe();
      answered = performance.now();
    }
    connection.close();
  }
  return { followed, connections };
}

for (const threads of [1, 2]) {
  it(
    `a new certificate is used as soon as it is there, and nobody is cut off, -threads=${threads}`,
    {
      ignore,
    },
    async () => {
      using authority = await Authority.make();
      await using master = await start(...authority.flags, `-threads=${threads}`, "-rpc");
      using client = authority.client();
      await post(client, master.url, "https://example.com/");
      const stop = { now: false };
      using feedClient = authority.client({ http2: false });
      const feed = await fetch(`${master.url}/rpc/log?offset=end`, { client: feedClient });
      const clients = Array.from({ length: 4 }, () => keepFollowing(authority, master, stop));
      const adding = (async () => {
        let added = 0;
        // Over HTTP/2 it is tested in renewal_test.ts.
        for (; !stop.now; added++) {
          await post(feedClient, master.url, `https://example.com/${added}`);
          await breathe();
        }
        return added;
      })();
      const all = Promise.all([adding, ...clients]);
      all.catch(() => stop.now = true);
      for (const name of ["second", "third"]) {
        await authority.certify(name);
        for (let i = 0; i < threads; i++) {
          await master.waitForLog(({ msg }) => msg === "there is a new certificate");
        }
        // Each thread takes its own time.
        await eventually(async () => {
          for (let i = 0; i < 5; i++) if (await nameOf(master) !== name) return false;
          return true;
        }, 20_000);
        if (stop.now) await all; // which says why
      }
      stop.now = true;
      const [added, ...followed] = await within(20_000, "the clients", all);
      assert(added > 0);
      for (const { followed: count, connections } of followed) {
        assert(count > 0 && connections > 1, `${count} answers over ${connections} connections`);
      }
      // Whoever follows the feed still does.
      const reader = feed.body!.getReader();
      const read = await within(10_000, "the feed", reader.read());
      assert(!read.done);
      await reader.cancel();
      assertEquals(master.logs.filter(({ level }) => level === "error"), []);
    },
  );
}

it(
  "a new certificate that is of no use is told of once, and the one before goes on",
  { ignore },
  async () => {
    using authority = await Authority.make();
    await using master = await start(...authority.flags);
    await Deno.writeTextFile(authority.cert, "no certificate\n");
    const { reason } = await master.waitForLog(({ level }) => level === "error");
    assertStringIncludes(reason, "no certificate in its file");
    assertEquals(await nameOf(master), "first");
    await authority.certify("second");
    await eventually(async () => await nameOf(master) === "second");
    assertEquals(master.logs.filter(({ level }) => level === "error").length, 1);
  },
);

it("a certificate that can't be used ends the program with one line", { ignore }, async () => {
  using authority = await Authority.make();
  const { path, cert, key, ca } = authority;
  const http = "-http=127.0.0.1:0";
  const lines: [flags: string[], code: number, line: RegExp][] = [
    [[`-tls-cert=${cert}`], 2, /-tls-cert and -tls-key go together/],
    [[`-tls-key=${key}`], 2, /-tls-cert and -tls-key go together/],
    [
      [...authority.flags, "-healthcheck"],
      2,
      /-healthcheck speaks HTTP: with -tls-cert it needs -admin/,
    ],
    [[`-tls-cert=${path}/none`, `-tls-key=${key}`], 1, /can't read .*none: No such file/],
    [
      [`-tls-cert=${ca}`, `-tls-key=${key}`],
      1,
      /can't listen on .*: the key is not the certificate's/,
    ],
    [[`-tls-cert=${key}`, `-tls-key=${key}`], 1, /no certificate in its file/],
    [[`-tls-ca=${key}`], 2, /-tls-ca: .* holds no certificate/],
    [[`-tls-cert=${cert}`, `-tls-key=${cert}`], 1, /no key in its file that can be read/],
    [[`-tls-ca=${path}/none`], 2, /-tls-ca: can't read .*none: No such file/],
  ];
  for (const [flags, expected, line] of lines) {
    const { code, stderr } = await run(...flags, http);
    assertMatch(stderr, /^goto: [^\n]*\n$/);
    assertMatch(stderr, line);
    assertEquals(code, expected, stderr);
  }
});

it("a port that is taken is refused to a server with a certificate, too", { ignore }, async () => {
  using authority = await Authority.make();
  await using first = await start(...authority.flags);
  const { host } = new URL(first.url);
  const { code, stderr } = await run(...authority.flags, `-http=${host}`, "-file=other.jsonl");
  assertEquals(code, 1);
  assertMatch(stderr, /can't listen on/);
});
