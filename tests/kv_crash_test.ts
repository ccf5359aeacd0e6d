/** An embedded database that is killed, or has no room. */
import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { add, breathe, eventually, follow, start, tempDir, within } from "./processes.ts";
import { change, ready, where } from "./replicas.ts";
import { canMount, smallDisk } from "./tools.ts";

const url = (name: string | number) => `https://example.com/${name}`;

it("a master on an embedded database that is killed again and again loses nothing it answered for", async () => {
  await using master = await start("-kv=links.db", "-threads=2");
  const answered = new Map<string, string>();
  // Of each alias: the last version that was answered for, and whether a later one may have been made.
  const versions = new Map<string, { sure: number; tried: number }>();
  let stopped = false;
  const writers = Array.from({ length: 8 }, async (_, w) => {
    const alias = `alias-${w}`;
    const version = { sure: -1, tried: -1 };
    versions.set(alias, version);
    for (let i = 0; !stopped; i++) {
      await breathe();
      try {
        const target = url(`${w}-${i}`);
        const key = await add(master.url, target);
        assertEquals(answered.has(key), false, `${key} twice`);
        answered.set(key, target);
        version.tried++;
        const next = url(version.tried);
        if (version.sure === -1) {
          await add(master.url, next, alias).catch((error) => {
            if (!String(error).includes("409")) throw error; // an earlier try was made after all
          });
        } else assertEquals(await change(master.url, alias, next), 200);
        if (version.sure === -1) version.tried = 0;
        version.sure = version.tried;
      } catch (error) {
        if (String(error).includes("twice")) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  });
  for (let round = 0; round < 8; round++) {
    const before = answered.size;
    await eventually(() => answered.size > before + 20, 20_000);
    master.kill();
    await master.status;
    await master.begin();
  }
  stopped = true;
  await within(20_000, "the writers", Promise.all(writers));
  for (const [key, target] of answered) assertEquals(await where(master.url, key), target);
  for (const [alias, { sure, tried }] of versions) {
    if (sure <= 0) continue;
    const found = Number((await where(master.url, alias))?.slice(url("").length));
    assert(found >= sure && found <= tried, `${alias}: ${found}, not ${sure} to ${tried}`);
  }
});

it("a master on an embedded database answers 507 on a full disk, and goes on when there is room", {
  ignore: !canMount,
}, async () => {
  using dir = tempDir();
  await using disk = await smallDisk(dir.path, "1m");
  await using master = await start({ through: disk.through }, "-kv=links.db");
  await add(master.url, url("a"), "docs");
  await disk.run("sh", "-c", "cat /dev/zero > fill");
  let refused = 0;
  for (let i = 0; i < 2000 && refused === 0; i++) {
    const response = await fetch(`${master.url}/api/links`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ url: url("x".repeat(4000)) }),
    });
    const { detail } = await response.json();
    if (response.status === 201) continue;
    assertEquals(response.status, 507, detail);
    refused++;
  }
  assertEquals(refused, 1);
  assertEquals(await where(master.url, "docs"), url("a"));
  assertEquals((await follow(master.url, "none")).status, 404);
  const { ready: isReady, writable } = await ready(master.url);
  assertEquals([isReady, writable], [true, false]);
  await disk.run("rm", "fill");
  await eventually(() => add(master.url, url("b"), "again").then(() => true));
  assertEquals((await ready(master.url)).writable, true);
  assertEquals(await where(master.url, "again"), url("b"));
});
