import { assertEquals, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { parseFlags, UsageError } from "../cli/flags.ts";
import { typoIn } from "../cli/typos.ts";
import { run, start } from "./processes.ts";

const parse = (...names: string[]) =>
  parseFlags([], (name) => names.includes(name) ? "secret" : undefined);

it("parseFlags() refuses variables that are one edit from one whose absence opens or changes a server", () => {
  const typos: [typo: string, name: string][] = [
    ["GOTO_TOKN", "GOTO_TOKEN"],
    ["GOTO_TOKENS", "GOTO_TOKEN"],
    ["GOTO_TOEKN", "GOTO_TOKEN"],
    ["GOTO_TOKEM", "GOTO_TOKEN"],
    ["GOTO_TOKeN", "GOTO_TOKEN"],
    ["GOTO__TOKEN", "GOTO_TOKEN"],
    ["GOTO_TOKEN_", "GOTO_TOKEN"],
    ["GOTO_OKEN", "GOTO_TOKEN"],
    ["GOTO_RPCTOKEN", "GOTO_RPC_TOKEN"],
    ["GOTO_RPC-TOKEN", "GOTO_RPC_TOKEN"],
    ["GOTO_PRC_TOKEN", "GOTO_RPC_TOKEN"],
    ["GOTO_KVTOKEN", "GOTO_KV_TOKEN"],
    ["GOTO_MASTERS", "GOTO_MASTER"],
    ["GOTO_MATSER", "GOTO_MASTER"],
    ["GOTO_FIEL", "GOTO_FILE"],
    ["GOTO_VK", "GOTO_KV"],
    ["GOTO_HTPP", "GOTO_HTTP"],
    ["GOTO_HTTPS", "GOTO_HTTP"],
    ["GOTO_ADMN", "GOTO_ADMIN"],
    ["GOTO_TLS_CRT", "GOTO_TLS_CERT"],
    ["GOTO_RATES", "GOTO_RATE"],
    ["GOTO_KEY", "GOTO_KEYS"],
  ];
  for (const [typo, name] of typos) {
    const { message } = assertThrows(() => parse(typo), UsageError, undefined, typo);
    assertEquals(message, `${typo}: no variable has this name; use ${name}, or unset it`);
  }
});

it("parseFlags() takes no variable for a typo that has a meaning, or that Kubernetes sets", () => {
  const service = [
    "GOTO_PORT",
    "GOTO_SERVICE_HOST",
    "GOTO_SERVICE_PORT",
    "GOTO_SERVICE_PORT_HTTP",
    "GOTO_PORT_8080_TCP",
    "GOTO_PORT_8080_TCP_ADDR",
    "GOTO_PORT_8080_TCP_PORT",
    "GOTO_PORT_8080_TCP_PROTO",
  ];
  // Services of names such as goto-master, too.
  const others = ["MASTER", "RPC", "KV", "REPLICA", "ADMIN"].flatMap((name) =>
    service.map((variable) => variable.replace("GOTO_", `GOTO_${name}_`))
  );
  parse(...service, ...others, "GOTO_TEST", "GOTO_BINARY", "GOTO_SOMETHING_ELSE");
});

it("typoIn() asks for each insertion, deletion, replacement and transposition, and nothing else", () => {
  const asked = new Set<string>();
  const isSet = (name: string) => (asked.add(name), false);
  assertEquals(typoIn(["GOTO_AB"], new Set(), isSet), undefined);
  const signs = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"];
  const expected = new Set([
    ...signs.flatMap((sign) => [`${sign}AB`, `A${sign}B`, `AB${sign}`]),
    ...signs.filter((sign) => sign !== "A").map((sign) => `${sign}B`),
    ...signs.filter((sign) => sign !== "B").map((sign) => `A${sign}`),
    ...["aB", "Ab", "aAB", "AbB"], // of small letters the same ones
    ...["A", "B", "BA"],
  ]);
  assertEquals([...asked].sort(), [...expected].map((name) => `GOTO_${name}`).sort());
});

it("a misspelled GOTO_TOKEN is one line and exit code 2, and its value is not shown", async () => {
  const { code, stdout, stderr } = await run({ env: { GOTO_TOKN: "s3cret" } }, "-http=127.0.0.1:0");
  assertEquals({ code, stdout, stderr }, {
    code: 2,
    stdout: "",
    stderr: "goto: GOTO_TOKN: no variable has this name; use GOTO_TOKEN, or unset it\n",
  });
  await using _ = await start({ env: { GOTO_PORT: "tcp://10.0.0.1:80", GOTO_SERVICE_HOST: "x" } });
});
