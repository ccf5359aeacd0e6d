import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { run } from "./commands.ts";
import { type Here, startHere } from "./here.ts";
import { follow, type Goto, start, tempDir } from "./processes.ts";

const form = { "content-type": "application/x-www-form-urlencoded" };
const json = { "content-type": "application/json" };

/** What the token guards, for a link "docs" that is there. */
const guarded: [method: string, path: string, headers?: HeadersInit, body?: string][] = [
  ["POST", "add", form, "url=https://example.com/1"],
  ["POST", "api/links", json, '{"url":"https://example.com/2"}'],
  ["PUT", "api/links/docs", json, '{"url":"https://example.com/3"}'],
  ["DELETE", "api/links/docs"],
];

function basic(user: string, password: string): string {
  return `Basic ${btoa(`${user}:${password}`)}`;
}

/** Sends all that is guarded, and gives the statuses. */
async function tryAll({ url }: Goto | Here, authorization?: string): Promise<number[]> {
  const statuses = [];
  for (const [method, path, given, body] of guarded) {
    const headers = new Headers(given);
    if (authorization !== undefined) headers.set("authorization", authorization);
    const response = await fetch(`${url}/${path}`, { method, headers, body });
    await response.body?.cancel();
    statuses.push(response.status);
    if (response.status !== 401) continue;
    // By this a browser asks for a password.
    assertStringIncludes(response.headers.get("www-authenticate") ?? "", 'Basic realm="goto"');
  }
  return statuses;
}

async function assertGuarded(server: Goto | Here): Promise<void> {
  const headers = { ...json, authorization: "Bearer secret" };
  const body = JSON.stringify({ url: "https://example.com/", key: "docs" });
  const made = await fetch(`${server.url}/api/links`, { method: "POST", headers, body });
  await made.body?.cancel();
  assertEquals(made.status, 201);
  const wrong = [
    undefined,
    "",
    "secret",
    "Bearer",
    "Bearer ",
    "Bearer secre",
    "Bearer secret2",
    "Bearer secret secret",
    "Digest secret",
    "Basic secret",
    basic("secret", ""),
    basic("", "secre"),
    basic("a", "secret:secret"),
    `Basic ${btoa("secret")}`,
  ];
  for (const authorization of wrong) {
    assertEquals(await tryAll(server, authorization), [401, 401, 401, 401], authorization);
  }
  // Whoever has no token may still follow links, and see where one leads.
  assertEquals((await follow(server.url, "docs")).location, "https://example.com/");
  for (const path of ["", "add", "api/links/docs", "healthz", "readyz"]) {
    const response = await fetch(`${server.url}/${path}`);
    await response.body?.cancel();
    assertEquals(response.status, 200, path);
  }
  assertEquals(await tryAll(server, basic("anybody", "secret")), [200, 201, 200, 204]);
}

it("with -token only its bearers change links, and everybody follows them", async () => {
  await using master = await startHere("-token=secret");
  await assertGuarded(master);
});

it("with -token each thread asks for it", async () => {
  await using master = await start("-token=secret", "-threads=2");
  await assertGuarded(master);
});

it("a replica asks for a token of its own, and passes writes on with the RPC's", async () => {
  await using master = await startHere("-rpc", "-rpc-token=between", "-token=other");
  await using replica = await startHere(
    `-master=${master.url}`,
    "-rpc-token=between",
    "-token=secret",
  );
  await assertGuarded(replica);
  assertEquals(await tryAll(master, "Bearer secret"), [401, 401, 401, 401]);
  assertEquals(await tryAll(master, "Bearer between"), [401, 401, 401, 401]);
  assertEquals((await tryAll(master, "bearer  other"))[0], 200);
});

it("every secret can be read from a file, whose last newline doesn't count", async () => {
  using dir = tempDir();
  const [token, rpc] = [`${dir.path}/token`, `${dir.path}/rpc`];
  await Deno.writeTextFile(token, "secret\n");
  await Deno.writeTextFile(rpc, "between\r\n");
  await using master = await start("-rpc", `-token=@${token}`, "-rpc-token=between");
  const env = { GOTO_TOKEN: `@${token}`, GOTO_RPC_TOKEN: `@${rpc}` };
  await using replica = await start({ env }, `-master=${master.url}`);
  assertEquals((await tryAll(master, "Bearer secret"))[0], 200);
  assertEquals((await tryAll(replica, "Bearer secret"))[0], 200);
  assertEquals((await tryAll(replica, `Bearer @${token}`))[0], 401);
});

it("a secret's file that can't be read, or holds none, ends it with one line that says so", async () => {
  using dir = tempDir();
  const files = { empty: "", newline: "\n", words: "two words\n", lines: "two\nlines\n" };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${dir.path}/${name}`, text);
  }
  const ascii = "use visible ASCII characters, without spaces";
  const expected: [file: string, line: string][] = [
    [`${dir.path}/missing`, `can't read ${dir.path}/missing: No such file or directory`],
    [dir.path, `can't read ${dir.path}: Is a directory`],
    ["", 'this value is not allowed: name a file behind the "@"'],
    [`${dir.path}/empty`, `${dir.path}/empty is empty`],
    [`${dir.path}/newline`, `${dir.path}/newline is empty`],
    [`${dir.path}/words`, `${dir.path}/words: ${ascii}`],
    [`${dir.path}/lines`, `${dir.path}/lines: ${ascii}`],
  ];
  for (const [file, line] of expected) {
    for (const name of ["token", "rpc-token"]) {
      const { code, stderr } = await run(`-${name}=@${file}`);
      assertEquals({ code, stderr }, { code: 2, stderr: `goto: -${name}: ${line}\n` });
    }
  }
  const { code, stderr } = await run({ env: { GOTO_TOKEN: "" } });
  assertEquals(code, 2);
  assert(!stderr.trim().includes("\n"), stderr);
  assertStringIncludes(stderr, "GOTO_TOKEN");
});
