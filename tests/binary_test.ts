/** `deno task compile`, and what the binary has beside what the end-to-end tests ask of it. */
import { assertEquals, assertMatch } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { PROXY_VARIABLES } from "../cli/proxies.ts";
import config from "../deno.json" with { type: "json" };
import { compile, nameOf, output } from "./binary.ts";
import { tempDir } from "./processes.ts";

const here = Deno.build.target;
const reason = Deno.env.get("DENORT_BIN") ? undefined : "DENORT_BIN is not set";
if (reason) console.log(`binary_test.ts is ignored: ${reason}`);

describe("deno task compile", { ignore: reason !== undefined }, () => {
  let temp: ReturnType<typeof tempDir>;
  let binary: string;
  beforeAll(async () => {
    temp = tempDir();
    binary = `${temp.path}/${nameOf(here)}`;
    const { code, stderr } = await compile([`--target=${here}`, `--dir=${temp.path}`]);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
  });
  afterAll(() => temp[Symbol.dispose]());

  it("stamps the version of deno.json, and the commit", async () => {
    const git = await output("git", ["describe", "--always", "--exclude=*", "--abbrev=7"])
      .then(({ code, stdout }) => code === 0 ? `+${stdout.trim()}` : "");
    const { code, stdout } = await output(binary, ["-version"]);
    assertEquals(code, 0);
    assertEquals(stdout.replace("-dirty", "").split(" (")[0], `goto ${config.version}${git}`);
  });

  it("writes SHA256SUMS that fit", async () => {
    const sum = await crypto.subtle.digest("SHA-256", await Deno.readFile(binary));
    const hex = Array.from(new Uint8Array(sum), (byte) => byte.toString(16).padStart(2, "0"));
    assertEquals(
      await Deno.readTextFile(`${temp.path}/SHA256SUMS`),
      `${hex.join("")}  ${nameOf(here)}\n`,
    );
  });

  it("makes it write nothing of the runtime's own to stderr but errors, as deno task start", async () => {
    const text = new TextDecoder("latin1").decode(await Deno.readFile(binary));
    assertMatch(text, /"log_level":"ERROR"/);
    assertMatch(config.tasks.start.command, /^deno run -q /);
  });

  it("gives the binary the permissions of deno task start, and no others", async () => {
    const [json] = /"permissions":\{[^}]*\}/.exec(
      new TextDecoder("latin1").decode(await Deno.readFile(binary)),
    )!;
    const all: Record<string, unknown> = JSON.parse(`{${json}}`).permissions;
    const granted = Object.entries(all).filter(([name, value]) =>
      name.startsWith("allow_") && name !== "allow_import" && value !== null
    );
    assertEquals(
      Object.fromEntries(granted),
      {
        allow_env: ["GOTO_*", "DENO_KV_ACCESS_TOKEN", ...PROXY_VARIABLES],
        allow_net: [], // any
        allow_read: [],
        allow_write: [],
      },
    );
    assertEquals([all.prompt, all.deny_import], [false, []]);
  });

  it("refuses a base of another platform", async () => {
    for (const target of ["aarch64-unknown-linux-gnu", "x86_64-pc-windows-msvc"]) {
      const { code, stderr } = await compile([`--target=${target}`, `--dir=${temp.path}`]);
      assertEquals(code, 1);
      assertMatch(
        stderr,
        new RegExp(`^compile: .* is no base for ${target}: unset DENORT_BIN.*\n$`),
      );
    }
    const names = Array.from(Deno.readDirSync(temp.path), ({ name }) => name);
    assertEquals(names.sort(), ["SHA256SUMS", nameOf(here)]);
  });

  it("names the ways out where the base can't be downloaded", async () => {
    using cache = tempDir(); // without a base from another day
    const { code, stderr } = await compile([`--target=${here}`, `--dir=${temp.path}`], {
      DENORT_BIN: "",
      DENO_DIR: cache.path,
      HTTPS_PROXY: "http://127.0.0.1:1",
    });
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /^compile: the runtime base for \S+ can't be downloaded \(.*refused.*\): use a network .* or name .* DENORT_BIN\n$/,
    );
  });

  it("names the targets there are", async () => {
    const { code, stderr } = await compile(["--target=z80"]);
    assertEquals(code, 2);
    assertMatch(stderr, /^compile: Unknown target 'z80'; .*aarch64-apple-darwin.*\n$/);
  });
});
