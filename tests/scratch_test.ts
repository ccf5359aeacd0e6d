/**
 * The program in an empty container, less the container engine: the folder that scripts/Dockerfile
 * ships, entered with chroot by an unprivileged user, all of it read-only but for /data.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { compiled, missing, output } from "./binary.ts";
import { add, eventually, follow, type Options, run, start, tempDir } from "./processes.ts";

const USER = 65532;
// In its own mounts, which end with it: $1 is the folder, what follows is run in there.
const ENTER = `
  mount --bind "$1" "$1"
  mount --bind "$1/data" "$1/data"
  mount -o remount,bind,ro "$1"
  mount -t proc proc "$1/proc"
  folder=$1; shift
  exec setpriv --no-new-privs \\
    unshare --root="$folder" --wd=/data --setgid=${USER} --setuid=${USER} -- "$@"
`;

/** Why this machine can't run these tests; undefined if it can. */
async function obstacle(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "it needs Linux";
  const { code, stderr } = await output("unshare", ["--mount", "setpriv", "--no-new-privs", "true"])
    .catch((error) => ({ code: 1, stderr: String(error) }));
  return code === 0 ? missing() : `it needs root, unshare and setpriv: ${stderr.trim()}`;
}

const reason = await obstacle();
if (reason) console.log(`scratch_test.ts is ignored: ${reason}`);

describe("in an empty container", { ignore: reason !== undefined }, () => {
  let temp: ReturnType<typeof tempDir>;
  let binary: string;
  let folders = 0;

  beforeAll(async () => {
    temp = tempDir();
    binary = await compiled(temp.path);
  });
  afterAll(() => temp[Symbol.dispose]());

  /** A new folder with the program in it. */
  async function assemble(): Promise<string> {
    const folder = `${temp.path}/${++folders}`;
    const args = ["run", "--no-prompt", "--allow-run=ldd", "--allow-read", "--allow-write"];
    const { code, stderr } = await output(
      Deno.execPath(),
      [...args, "scripts/scratch.ts", binary, folder],
    );
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    return folder;
  }

  /** How to run the program in there, as a container engine does. */
  async function enter(folder: string): Promise<Options> {
    await Deno.mkdir(`${folder}/proc`, { recursive: true }); // an engine's mount points
    await Deno.chown(`${folder}/data`, USER, USER); // as scripts/Dockerfile has it
    return { binary: "/goto", through: ["unshare", "--mount", "sh", "-ec", ENTER, "sh", folder] };
  }

  function files(folder: string, path = ""): string[] {
    return Array.from(Deno.readDirSync(folder + path)).flatMap((entry) => {
      const name = `${path}/${entry.name}`;
      return entry.isDirectory ? [`${name}/`, ...files(folder, name)] : [name];
    });
  }

  it("there are the program, the libraries that it names, and /data", async () => {
    const folder = await assemble();
    const { stdout } = await output("readelf", [
      "--wide",
      "--dynamic",
      "--program-headers",
      binary,
    ]);
    const named = stdout.matchAll(/Shared library: \[(.*)\]|interpreter: (.*)\]/g);
    const libraries = Array.from(named, ([, name, path]) => name ?? path.split("/").at(-1));
    const all = files(folder);
    console.log(all.filter((path) => !path.endsWith("/") || path === "/data/").sort().join("\n"));
    assertEquals(
      all.filter((path) => !path.endsWith("/")).map((path) => path.split("/").at(-1)).sort(),
      [...new Set([...libraries, "goto"])].sort(),
    );
    const folders = all.filter((path) => /^\/[^/]+\/$/.test(path) && !/^\/lib/.test(path));
    assertEquals(folders, ["/data/"]);
  });

  it("a master and a replica serve, restart, and end at SIGTERM", async () => {
    const folder = await assemble();
    const here = await enter(folder);
    await using master = await start(here, "-rpc", "-threads=2");
    await using replica = await start(here, `-master=${master.url}`, "-file=mirror.jsonl");
    const key = await add(replica.url, "https://example.com/from/a/container");
    for (const { url } of [master, replica]) {
      assertEquals((await follow(url, key)).location, "https://example.com/from/a/container");
    }
    assertStringIncludes(await (await fetch(master.url)).text(), "<form");

    const { uid, gid } = await Deno.stat(`${folder}/data/store.jsonl`);
    assertEquals([uid, gid], [USER, USER]);

    const mirror = `${folder}/data/mirror.jsonl`;
    await eventually(async () => (await Deno.readTextFile(mirror)).includes(`"${key}"`));
    assertEquals((await master.stop()).code, 0, master.stderr);
    assertEquals((await follow(replica.url, key)).status, 302, "the mirror needs no master");
    await master.begin();
    assertEquals(master.links, 1);
    assertEquals((await follow(master.url, key)).status, 302);
    const next = await eventually(() => add(replica.url, "https://example.com/next"));
    assertEquals((await follow(master.url, next)).status, 302);

    assertEquals((await replica.stop()).code, 0, replica.stderr);
    assertEquals((await master.stop()).code, 0, master.stderr);
    // Of what was counted there is a file at the master, and a copy, if the mirror was quick.
    const left = files(folder, "/data").filter((path) => path !== "/data/mirror.jsonl.hits");
    assertEquals(
      left.sort(),
      ["mirror.jsonl", "store.jsonl", "store.jsonl.hits"].map((name) => `/data/${name}`),
    );
  });

  it("-healthcheck tells whether the server is alive", async () => {
    const here = await enter(await assemble());
    await using master = await start(here);
    // As an image has it: the address comes from the environment, and may name no host.
    const env = { GOTO_HTTP: `:${new URL(master.url).port}` };
    assertEquals((await run({ ...here, env }, "-healthcheck")).stdout, "ok\n");
    await master.stop();
    const { code, stderr } = await run({ ...here, env }, "-healthcheck");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "is not alive");
  });

  it("nothing can be written outside of /data", async () => {
    const here = await enter(await assemble());
    const { code, stderr } = await run(here, "-http=127.0.0.1:0", "-file=/store.jsonl");
    assertEquals(code, 1);
    assert(/permission denied|read-only/i.test(stderr), stderr);
  });
});
