/** Another history in the place of the one that was followed: restored, promoted, changed in place. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { run } from "./commands.ts";
import { type Here, startHere } from "./here.ts";
import { add, eventually, type Goto, start, tempDir } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import {
  agree,
  change,
  following,
  freePort,
  journal,
  keep,
  ready,
  summed,
  where,
} from "./replicas.ts";
import { canTrace } from "./tools.ts";

const url = (version: string | number) => `https://example.com/${version}`;

/** Waits until a mirror is complete and has all of its master. */
async function complete(mirror: Goto | Here) {
  await eventually(async () => {
    const { complete, lagBytes, reason } = await ready(mirror.url);
    assertEquals({ complete, lagBytes, reason }, {
      complete: true,
      lagBytes: 0,
      reason: undefined,
    });
  });
}

it("a mirror and a backup of a master that was compacted just now are its file", async () => {
  using dir = tempDir();
  await using master = await startHere({ cwd: dir.path }, "-rpc");
  for (let i = 0; i < 10; i++) await add(master.url, url(`first/${i}`), `k${i}`);
  for (let round = 0; round < 30; round++) {
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => change(master.url, `k${i}`, url(`${round}/${i}`))),
    );
  }
  assertEquals((await run("-compact", `-master=${master.url}`)).code, 0);
  await using mirror = await startHere(
    { cwd: dir.path },
    `-master=${master.url}`,
    "-file=mirror.jsonl",
  );
  await complete(mirror);
  const text = (name: string) => Deno.readTextFile(`${dir.path}/${name}`);
  assertEquals(await text("mirror.jsonl"), await text("store.jsonl"));
  const { code, stderr } = await run(
    { cwd: dir.path },
    `-backup=backup.jsonl`,
    `-master=${master.url}`,
  );
  assertEquals([code, stderr], [0, ""]);
  await mirror.stop();
  await using promoted = await startHere({ cwd: dir.path }, "-file=mirror.jsonl", "-promote");
  for (let i = 0; i < 10; i++) assertEquals(await where(promoted.url, `k${i}`), url(`29/${i}`));
});

it("a cache shows nothing of a history that was taken back, however little it had followed of it", async () => {
  using dir = tempDir();
  const at = `-http=127.0.0.1:${freePort()}`;
  const master = await startHere({ cwd: dir.path }, "-rpc", at);
  for (const key of ["a", "b"]) await add(master.url, url(1), key);
  assertEquals((await run({ cwd: dir.path }, "-backup=backup.jsonl")).code, 0);
  await using cache = await startHere("-rpc", `-master=${master.url}`);
  await using below = await startHere(`-master=${cache.url}`);
  for (const replica of [cache, below]) await keep(replica, "a");
  assertEquals(await change(master.url, "a", url("lost")), 200);
  await agree([cache, below], "a", url("lost"));
  await master.stop();

  await Deno.rename(`${dir.path}/backup.jsonl`, `${dir.path}/store.jsonl`);
  let restored = await startHere({ cwd: dir.path }, "-rpc", "-promote", at);
  // It may have grown beyond what was followed before the replicas come back.
  for (let i = 0; i < 20; i++) assertEquals(await change(restored.url, "b", url(`b/${i}`)), 200);
  for (const replica of [cache, below]) await following(replica);
  await agree([cache, below], "a", url(1));
  await agree([cache, below], "b", url("b/19"));

  // And the same backup once more.
  const { term } = await ready(restored.url);
  await restored.stop();
  await Deno.writeTextFile(`${dir.path}/store.jsonl`, `{"Key":"a","URL":"${url(2)}"}\n`);
  restored = await startHere({ cwd: dir.path }, "-rpc", "-promote", at);
  await agree([cache, below], "a", url(2));
  assert((await ready(restored.url)).term > term);
  await restored.stop();
});

it("the same backup can be restored twice, and mirrors follow each time", async () => {
  using dir = tempDir();
  const at = `-http=127.0.0.1:${freePort()}`;
  const backup = journal(200);
  let master: Goto | Here | undefined;
  let mirror: Goto | Here | undefined;
  try {
    for (const round of [1, 2, 3]) {
      await Deno.writeTextFile(`${dir.path}/store.jsonl`, backup);
      master = await startHere({ cwd: dir.path }, "-rpc", "-promote", at);
      // The mirror comes to have more than what is restored the next time.
      for (let i = 5 * (3 - round); i >= 0; i--) {
        assertEquals(await change(master.url, "7", url(`round/${round}/${i}`)), 200);
      }
      mirror ??= await startHere({ cwd: dir.path }, `-master=${master.url}`, "-file=mirror.jsonl");
      await agree([mirror], "7", url(`round/${round}/0`));
      await complete(mirror);
      await master.stop();
    }
  } finally {
    await mirror?.stop();
    await master?.stop();
  }
});

it("mirrors copy a log anew that was changed in place, wherever that was", async () => {
  using dir = tempDir();
  const at = `-http=127.0.0.1:${freePort()}`;
  const file = `${dir.path}/store.jsonl`;
  await Deno.writeTextFile(file, summed(journal(5000), 1000)); // the lines say what was written
  for (const promote of [[], ["-promote"]]) {
    const master = await startHere({ cwd: dir.path }, "-rpc", at);
    await using mirror = await startHere(
      { cwd: dir.path },
      `-master=${master.url}`,
      "-file=mirror.jsonl",
    );
    await using cache = await startHere(`-master=${master.url}`);
    await complete(mirror);
    await keep(cache, "7");
    await master.stop();
    const text = await Deno.readTextFile(file);
    const [before, after] = promote.length === 0 ? ["com/7", "com/8"] : ["com/8", "com/9"];
    await Deno.writeTextFile(
      file,
      text.replace(`"https://example.${before}"`, `"https://example.${after}"`),
    );
    await using changed = await startHere({ cwd: dir.path }, "-rpc", ...promote, at);
    await agree([changed, mirror, cache], "7", `https://example.${after}`);
    await complete(mirror);
  }
});

it("a mirror keeps its copy of before also where files can't have two names", {
  ignore: !canTrace,
}, async () => {
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/a.jsonl`, journal(10));
  await Deno.writeTextFile(
    `${dir.path}/b.jsonl`,
    journal(10).replace("com/7", "com/8") + journal(1, 10),
  );
  await Deno.copyFile(`${dir.path}/a.jsonl`, `${dir.path}/mirror.jsonl`);
  await using master = await start({ cwd: dir.path }, "-rpc", "-file=b.jsonl");
  const inject = ["-e", "trace=link,linkat", "-e", "inject=link,linkat:error=EPERM"];
  const through = ["strace", "-D", "-f", "-o", "/dev/null", ...inject];
  const flags = [`-master=${master.url}`, "-file=mirror.jsonl"];
  await using mirror = await start({ cwd: dir.path, through }, ...flags);
  const { old } = await mirror.waitForLog(({ msg }) => msg === "the mirror is complete");
  await agree([mirror], "7", url(8));
  assertEquals(await Deno.readTextFile(`${dir.path}/${old}`), journal(10));
});

it("a mirror gives no copy away because it can't look at it just then (needs strace)", {
  ignore: !canTrace,
}, async () => {
  using dir = tempDir();
  const file = `${dir.path}/mirror.jsonl`;
  await Deno.writeTextFile(`${dir.path}/store.jsonl`, journal(5));
  await Deno.writeTextFile(file, journal(10));
  await using master = await start({ cwd: dir.path }, "-rpc");
  const inject = ["-e", "trace=statx", "-e", "inject=statx:error=EIO:when=1"];
  const through = ["strace", "-D", "-f", "-o", "/dev/null", "-P", file, ...inject];
  const flags = [`-master=${master.url}`, `-file=${file}`];
  const { code, stderr } = await run({ cwd: dir.path, through }, ...flags);
  assertEquals(stderr, `goto: ${file}: Input/output error\n`);
  assertEquals([code, await Deno.readTextFile(file)], [1, journal(10)]);
});

it("a mirror says which file it can't put its copy in the place of (needs strace)", {
  ignore: !canTrace,
}, async () => {
  using dir = tempDir();
  const file = `${dir.path}/mirror.jsonl`;
  await Deno.writeTextFile(`${dir.path}/store.jsonl`, journal(10, 1));
  await Deno.writeTextFile(file, journal(10));
  await using master = await start({ cwd: dir.path }, "-rpc");
  const inject = ["-e", "trace=/^rename", "-e", "inject=/^rename:error=EIO"];
  const through = ["strace", "-D", "-f", "-o", "/dev/null", "-P", `${file}.part`, ...inject];
  const flags = [`-master=${master.url}`, `-file=${file}`];
  await using mirror = await start({ cwd: dir.path, through }, ...flags);
  const { reason } = await mirror.waitForLog(({ msg }) => msg === "lost the master's feed");
  assertEquals(reason, `${file}: Input/output error`);
  assertEquals(await Deno.readTextFile(file), journal(10));
});

/** A server between a master and its replicas that changes what passes. */
function between(
  master: string,
  change: (path: string, response: Response) => Response | Promise<Response>,
) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (req) => {
    const { pathname, search } = new URL(req.url);
    const { method, headers } = req;
    const body = method === "POST" ? await req.text() : undefined;
    const response = await fetch(`${master}${pathname}${search}`, { method, headers, body });
    return await change(pathname, response);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}

const wrong: [what: string, change: (response: Response) => Response][] = [
  ["bytes", (response) => {
    const spoil = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        const text = new TextDecoder().decode(chunk);
        controller.enqueue(
          new TextEncoder().encode(text.replace("example.com/7", "example.org/7")),
        );
      },
    });
    return new Response(response.body?.pipeThrough(spoil), { headers: response.headers });
  }],
  ["number of keys", (response) => {
    const headers = new Headers(response.headers);
    headers.set("goto-log-keys", "201");
    return new Response(response.body, { headers });
  }],
];
for (const [what, spoil] of wrong) {
  it(`a mirror is not complete while the ${what} that it copied are not its master's`, async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, journal(200));
    await using master = await startHere({ cwd: dir.path }, "-rpc");
    let spoils = true;
    await using link = between(
      master.url,
      (path, response) => path === "/rpc/log" && spoils ? spoil(response) : response,
    );
    const mirror = await startHere({ cwd: dir.path }, `-master=${link.url}`, "-file=mirror.jsonl");
    try {
      const { reason } = await mirror.waitForLog(({ msg }) => msg === "lost the master's feed");
      assertStringIncludes(reason, "the copy has");
      assertEquals((await ready(mirror.url)).complete, false);
      const backup = await run({ cwd: dir.path }, "-backup=backup.jsonl", `-master=${link.url}`);
      assertEquals(backup.code, 1);
      assertStringIncludes(backup.stderr, `${link.url}: the copy has`);
      spoils = false;
      await complete(mirror);
      assertEquals(await where(mirror.url, "7"), url(7));
    } finally {
      await mirror.stop();
    }
  });
}

it("a cache forgets what it has where what it followed is not its master's", async () => {
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/store.jsonl`, journal(20));
  await using master = await start({ cwd: dir.path }, "-rpc");
  const feeds: TransformStreamDefaultController[] = [];
  let away = false;
  await using link = between(master.url, async (path, response) => {
    if (path !== "/rpc/log") return response;
    if (away) {
      await response.body?.cancel();
      return new Response("away", { status: 503 });
    }
    const second = feeds.length === 1;
    const through = new TransformStream<Uint8Array, Uint8Array>({
      start: (controller) => void feeds.push(controller),
      transform(chunk, controller) {
        const text = new TextDecoder().decode(chunk);
        // Of what the cache missed, it isn't told that this link was changed.
        const told = second ? text.replace('"Key":"7"', '"Key":"8"') : text;
        controller.enqueue(new TextEncoder().encode(told));
      },
    });
    return new Response(response.body?.pipeThrough(through), { headers: response.headers });
  });
  await using cache = await start(`-master=${link.url}`);
  await keep(cache, "7");
  away = true;
  feeds[0].terminate();
  await cache.waitForLog(({ msg }) => msg === "lost the master's feed");
  assertEquals(await change(master.url, "7", url("new")), 200);
  away = false;
  const { msg } = await cache.waitForLog(({ msg }) => msg.startsWith("dropping the cache"));
  assertStringIncludes(msg, "not what the master has");
  await agree([cache], "7", url("new"));
  await following(cache);
});

it("a term over a day ahead of the clock is refused, whichever way it comes", async () => {
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/store.jsonl`, journal(3));
  await using master = await startHere({ cwd: dir.path }, "-rpc");
  const TERM = 999_999_999_999_999;
  const line = `{"Key":"","URL":"","Term":${TERM}}\n`;
  let lie = "";
  await using link = between(master.url, async (path, response) => {
    if (path === "/rpc" && lie === "health") {
      const text = (await response.text()).replace(/"term":\d+/, `"term":${TERM}`);
      return new Response(text, { headers: response.headers });
    }
    const headers = new Headers(response.headers);
    if (path === "/rpc/log" && lie === "head") headers.set("goto-log-term", `${TERM}`);
    if (path !== "/rpc/log" || lie !== "line") return new Response(response.body, { headers });
    headers.set("goto-log-size", `${Number(headers.get("goto-log-size")) + line.length}`);
    headers.delete("goto-log-sum");
    await response.body?.cancel();
    const all = headers.get("goto-log-offset") === "0" ? journal(3) + line : line;
    return new Response(all, { headers });
  });
  for (const flags of [[], ["-file=mirror.jsonl"]]) {
    lie = "";
    const replica = await startHere({ cwd: dir.path }, `-master=${link.url}`, ...flags);
    try {
      for (lie of ["health", "head", "line"]) {
        await replica.restart();
        await replica.waitForLog(({ reason }) => `${reason}`.includes("over a day ahead"));
      }
      lie = "";
      await following(replica);
      assertEquals((await ready(replica.url)).term, 1);
    } finally {
      await replica.stop();
    }
  }
  // What bears such a term already isn't promoted: nobody would follow it.
  await Deno.writeTextFile(`${dir.path}/future.jsonl`, line);
  const { code, stderr } = await run({ cwd: dir.path }, "-promote", "-file=future.jsonl");
  assertEquals(code, 1);
  assertStringIncludes(stderr, "over a day ahead of this clock");
});

it("refused writes take no feed away", async () => {
  await using master = await startHere("-rpc");
  await using link = new Proxy(master.url);
  await using replica = await startHere(`-master=${link.url}`);
  await add(master.url, url(1), "taken");
  await keep(replica, "taken");
  const feeds = link.connections;
  for (let i = 0; i < 300; i++) {
    const body = new URLSearchParams({ url: url(2), key: "taken" });
    const response = await fetch(`${master.url}/add`, { method: "POST", body });
    await response.body?.cancel();
    assertEquals(response.status, 409);
  }
  assertEquals(await change(master.url, "taken", url(3)), 200);
  await agree([replica], "taken", url(3));
  assertEquals(link.connections, feeds);
  assertEquals(replica.logs.filter(({ level }) => level === "warn"), []);
});
