import { assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { PROXY_VARIABLES } from "../cli/proxies.ts";
import config from "../deno.json" with { type: "json" };
import { add, run, start } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import { agree } from "./replicas.ts";

/** What makes `fetch` ask `proxy`, in every spelling. */
function proxied({ url }: Proxy): Record<string, string> {
  return Object.fromEntries(PROXY_VARIABLES.map((name) => [name, url]));
}

it("a proxy that the environment names sees no health check", async () => {
  await using master = await start();
  await using proxy = new Proxy(master.url);
  const { host } = new URL(master.url);
  for (const [name, url] of Object.entries(proxied(proxy))) {
    const { code, stderr } = await run({ env: { [name]: url } }, "-healthcheck", `-http=${host}`);
    assertEquals({ code, stderr, seen: proxy.connections }, { code: 0, stderr: "", seen: 0 }, name);
  }
});

it("a proxy that the environment names sees nothing of what replicas ask, nor their token", async () => {
  await using master = await start("-rpc", "-rpc-token=secret");
  const key = await add(master.url, "https://example.com/");
  await using proxy = new Proxy(master.url);
  const env = { ...proxied(proxy), GOTO_RPC_TOKEN: "secret" };
  await using replica = await start({ env }, `-master=${master.url}`, "-threads=2");
  await agree([replica], key, "https://example.com/");
  await add(replica.url, "https://example.com/2");
  assertEquals(proxy.connections, 0);
});

it("deno task start may touch GOTO_..., the token of a database, and the variables of proxies, and no others", () => {
  const [, names] = /--allow-env='([^']*)'/.exec(config.tasks.start.command) ?? [];
  assertEquals(names.split(","), ["GOTO_*", "DENO_KV_ACCESS_TOKEN", ...PROXY_VARIABLES]);
});
