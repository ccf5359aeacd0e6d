import { assert, assertEquals, assertFalse, assertMatch, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import config from "../deno.json" with { type: "json" };
import { type Flags, help, parseFlags, UsageError } from "../cli/flags.ts";
import { run } from "./commands.ts";

function parse(args: string[], env: Record<string, string> = {}): Flags {
  return parseFlags(args, (name) => env[name]);
}

it("parseFlags() has the defaults that the help names", () => {
  assertEquals(parse([]), {
    http: { hostname: "", port: 8080 },
    host: "",
    file: "",
    kv: "",
    "kv-token": "",
    rpc: false,
    master: [],
    promote: false,
    threads: 1,
    cache: 1_000_000,
    keys: "counter",
    sync: "always",
    token: "",
    "rpc-token": "",
    hits: true,
    rate: 0,
    suffix: false,
    "user-header": "",
    proxy: 0,
    cors: [],
    admin: undefined,
    "tls-cert": "",
    "tls-key": "",
    "tls-ca": "",
    log: "text",
    access: false,
    compact: false,
    repair: false,
    import: "",
    "dry-run": false,
    export: undefined,
    backup: "",
    healthcheck: false,
    version: false,
    help: false,
  });
});

it("parseFlags() takes every spelling that Go takes", () => {
  const spellings = [
    ["-http=:81"],
    ["--http=:81"],
    ["-http", ":81"],
    ["--http", ":81"],
    ["-http=:80", "-http=:81"],
    ["-http=:81", "--"],
  ];
  for (const args of spellings) {
    assertEquals(parse(args).http, { hostname: "", port: 81 }, args.join(" "));
  }
  for (const arg of ["-rpc", "--rpc", "-rpc=true", "-rpc=1", "-rpc=t", "-rpc=T", "-rpc=TRUE"]) {
    assertEquals(parse([arg]).rpc, true, arg);
  }
  for (const arg of ["-rpc=false", "--rpc=false", "-rpc=0", "-rpc=f", "-rpc=F", "-rpc=False"]) {
    assertEquals(parse(["-rpc", arg]).rpc, false, arg);
  }
  assertEquals(parse(["-h"]).help, true);
});

it("parseFlags() understands the command lines of the Go program", () => {
  const master = parse(["-host=go.example", "-rpc=true"]);
  assertEquals([master.host, master.rpc], ["http://go.example", true]);
  const replica = parse(["-host=go.example", "-master=10.0.0.1:8080", "-http=:8081"]);
  assertEquals([replica.master, replica.http.port], [["http://10.0.0.1:8080"], 8081]);
});

it("parseFlags() reads addresses", () => {
  const addresses: [string, string, number][] = [
    [":0", "", 0],
    ["localhost:8080", "localhost", 8080],
    ["0.0.0.0:65535", "0.0.0.0", 65535],
    ["[::1]:80", "::1", 80],
    ["[::]:80", "::", 80],
  ];
  for (const [text, hostname, port] of addresses) {
    assertEquals(parse(["-http", text]).http, { hostname, port });
  }
});

it("parseFlags() reads what short links start with", () => {
  const hosts: [string, string][] = [
    ["go.example", "http://go.example"],
    ["go.example:8080", "http://go.example:8080"],
    ["https://go.example.com", "https://go.example.com"],
    ["https://go.example.com/", "https://go.example.com"],
    ["HTTPS://GO.example.com//", "https://go.example.com"],
    ["[::1]:80", "http://[::1]"],
  ];
  for (const [text, base] of hosts) assertEquals(parse(["-host", text]).host, base);
});

it("parseFlags() takes several masters", () => {
  const { master } = parse(["-master=a:1, https://b.example/, :8080"]);
  assertEquals(master, ["http://a:1", "https://b.example", "http://localhost:8080"]);
});

it("parseFlags() keeps a value as it is, with = and dashes in it", () => {
  assertEquals(parse(["-rpc-token=-a=b--"])["rpc-token"], "-a=b--");
  assertEquals(parse(["-rpc-token", "a=b-"])["rpc-token"], "a=b-");
  assertEquals(parse(["-file=--rpc"]).file, "--rpc");
});

it("parseFlags() reads the environment, and the flag wins", () => {
  const env = { GOTO_HTTP: ":81", GOTO_RPC: "true", GOTO_RPC_TOKEN: "secret" };
  const flags = parse([], env);
  assertEquals([flags.http.port, flags.rpc, flags["rpc-token"]], [81, true, "secret"]);
  const empty = { GOTO_HTTP: "", GOTO_HOST: "", GOTO_RPC: "", GOTO_KEYS: "", GOTO_THREADS: "" };
  assertEquals(
    parse([], empty),
    parse([]),
    "what a Compose file passes on without a value is none",
  );
  assertEquals(parse(["-master=a:1"], { GOTO_MASTER: "" }).master, ["http://a:1"]);
  const stronger = parse(["-http=:82", "-rpc=false"], env);
  assertEquals([stronger.http.port, stronger.rpc, stronger["rpc-token"]], [82, false, "secret"]);
});

it("parseFlags() says in one line what is wrong and what is allowed", () => {
  const mistakes: [args: string[], message: string, env?: Record<string, string>][] = [
    [["-nope"], "unknown flag -nope; -help lists them"],
    [["--nope=1"], "unknown flag -nope; -help lists them"],
    [["-HTTP=:80"], "unknown flag -HTTP; -help lists them"],
    [["-a\nb"], "unknown flag -a b; -help lists them"],
    [["serve"], `unexpected argument "serve"`],
    [["-rpc", "false"], `unexpected argument "false"`],
    [["-http"], "-http needs a value: listen address: :port (all addresses) or host:port"],
    [["-keys", "-rpc"], "-keys needs a value: counter, or random (not guessable)"],
    [["-file", "-rpc"], "-file needs a value: the master's journal (store.jsonl)"],
    [["-http="], `-http: "" is not allowed: use :port or host:port, with a port up to 65535`],
    [["-http=80"], `-http: "80" is not allowed: use :port or host:port`],
    [["-http=:65536"], `-http: ":65536" is not allowed`],
    [["-http=:http"], `-http: ":http" is not allowed`],
    [["-http=::1:80"], `-http: "::1:80" is not allowed`],
    [["-http=http://a:80"], `-http: "http://a:80" is not allowed`],
    [["-http=a\nb:80x"], `-http: "a b:80x" is not allowed`],
    [
      ["-host=a b"],
      `-host: "a b" is not allowed: use host:port, or a URL that starts with http://`,
    ],
    [["-host=https://me:pw@a"], `-host: "https://…@a" is not allowed`],
    [
      ["-host=go.example/s"],
      `-host: "go.example/s" is not allowed: use host:port, or a URL without`,
    ],
    [["-host=javascript:1"], `-host: "javascript:1" is not allowed: "javascript" is a scheme;`],
    [["-host=https:443"], `-host: "https:443" is not allowed: "https" is a scheme; use host:port`],
    [["-host="], `-host: "" is not allowed: give it a value, or leave it out`],
    [["-host= "], `-host: " " is not allowed: use host:port, or a URL that starts with http://`],
    [["-file="], `-file: "" is not allowed: give it a value, or leave it out`],
    [["-file", "  "], `-file: "  " is not allowed: give it a value, or leave it out`],
    [["-rpc-token="], `-rpc-token: this value is not allowed: give it a value, or leave it out`],
    [["-master="], `-master: "" is not allowed: give it a value, or leave it out`],
    [["-master", ""], `-master: "" is not allowed: give it a value, or leave it out`],
    [
      ["-master= "],
      `-master: " " is not allowed: use host:port, or a URL that starts with http://`,
    ],
    [["-master=a:1, ,b:1"], `-master: "a:1, ,b:1" is not allowed: use host:port`],
    [["-threads="], `-threads: "" is not allowed: use a number from 0 to 256`],
    [[], `GOTO_MASTER: "" is not allowed: give it a value, or leave it out`, { GOTO_MASTER: "" }],
    [[], `GOTO_FILE: "" is not allowed: give it a value, or leave it out`, { GOTO_FILE: "" }],
    [[], `GOTO_RPC_TOKEN: this value is not allowed: give it`, { GOTO_RPC_TOKEN: "" }],
    [[], `GOTO_HOST: " " is not allowed: use host:port`, { GOTO_HOST: " " }],
    [["-master=ftp://a"], `-master: "ftp://a" is not allowed: use host:port, or a URL that starts`],
    [["-master=a:1,"], `-master: "a:1," is not allowed`],
    [["-rpc=maybe"], `-rpc: "maybe" is not allowed: use true or false`],
    [["-threads=-1"], `-threads: "-1" is not allowed: use a number from 0 to 256`],
    [["-threads=257"], `-threads: "257" is not allowed: use a number from 0 to 256`],
    [["-cache=1e3"], `-cache: "1e3" is not allowed: use a number from 0 to 16000000`],
    [["-keys=uuid"], `-keys: "uuid" is not allowed: use counter or random`],
    [["-sync=never"], `-sync: "never" is not allowed: use always or none`],
    [["-log=xml"], `-log: "xml" is not allowed: use text or json`],
    [["-rpc-token=pässword"], "-rpc-token: this value is not allowed: use visible ASCII"],
    [["-rpc-token=a b"], "-rpc-token: this value is not allowed: use visible ASCII characters"],
    [[], `GOTO_KEYS: "uuid" is not allowed: use counter or random`, { GOTO_KEYS: "uuid" }],
  ];
  for (const [args, message, env] of mistakes) {
    const error = assertThrows(() => parse(args, env), UsageError, message);
    assertMatch(error.message, /^.+$/);
  }
});

it("help() lists every flag with its default", () => {
  const text = help();
  for (const name of Object.keys(parse([]))) assertMatch(text, new RegExp(`^  -${name} `, "m"));
  assertMatch(text, /^ {2}-http ADDR .*\(default :8080\)$/m);
  assertMatch(text, /^ {2}-keys KIND .*\(default counter\)$/m);
  for (const line of text.split("\n")) assert(line.length <= 100, line);
});

it("a mistake in a flag ends the program with one line on stderr and exit 2", async () => {
  const [flag, env] = await Promise.all([run("-keys=uuid"), run({ env: { GOTO_RPC: "x" } })]);
  assertEquals(flag, {
    code: 2,
    stdout: "",
    stderr: `goto: -keys: "uuid" is not allowed: use counter or random\n`,
  });
  assertEquals(env, {
    code: 2,
    stdout: "",
    stderr: `goto: GOTO_RPC: "x" is not allowed: use true or false\n`,
  });
});

it("a master that is named by an empty value never makes the server a master of its own", async () => {
  const results = await Promise.all([
    run("-http=127.0.0.1:0", "-master="),
    run({ env: { GOTO_MASTER: "" } }, "-http=127.0.0.1:0"),
  ]);
  for (const [i, name] of ["-master", "GOTO_MASTER"].entries()) {
    const stderr = `goto: ${name}: "" is not allowed: give it a value, or leave it out\n`;
    assertEquals(results[i], { code: 2, stdout: "", stderr });
  }
});

it("-help and -version print to stdout and exit 0", async () => {
  const [helped, versioned] = await Promise.all([run("-help"), run("-version")]);
  assertEquals(helped, { code: 0, stdout: help(), stderr: "" });
  assertEquals([versioned.code, versioned.stderr], [0, ""]);
  const [, version] = /^goto (\S+) \(deno \S+, \S+\)\n$/.exec(versioned.stdout) ?? [];
  assertEquals(version?.split("+")[0], config.version); // a binary adds its commit
});

it("an address that is taken ends the program with one line and exit 1", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const { code, stdout, stderr } = await run(`-http=127.0.0.1:${port}`);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, new RegExp(`^goto: can't listen on 127\\.0\\.0\\.1:${port}: .+\n$`));
});

it("parseFlags() quotes no secret in what it complains about", () => {
  const wrong: [args: string[], env: Record<string, string>, says: RegExp][] = [
    [["-master=http://u:SECRET@h"], {}, /^-master: "http:\/\/…@h" is not allowed: use host:port/],
    [["-master=http://a:1,http://u:SECRET@h:80"], {}, /^-master: "http:\/\/…@h:80" is not/],
    [["-master=u:SECRET@h"], {}, /^-master: "…@h" is not allowed/],
    [["-master=http://u:SE/CR@ET?@h"], {}, /^-master: "http:\/\/…@h" is not allowed/],
    [["-master=https://h/?token=SECRET"], {}, /^-master: "https:\/\/h\/\?…" is not allowed/],
    [["-kv=https://u:SECRET@h"], {}, /^-kv: "https:\/\/…@h" is not allowed/],
    [["-host=https://u:SECRET@h"], {}, /^-host: "https:\/\/…@h" is not allowed/],
    [["-cors=https://u:SECRET@h"], {}, /^-cors: "https:\/\/…@h" is not allowed/],
    [["-http=u:SECRET@h:x"], {}, /^-http: "…@h:x" is not allowed/],
    [[], { GOTO_MASTER: "http://u:SECRET@h" }, /^GOTO_MASTER: "http:\/\/…@h" is not allowed/],
    [["-token=@SECRET"], {}, /^-token: can't read the file behind the "@": No such file/],
    [["-rpc-token=@SECRET"], {}, /^-rpc-token: can't read the file behind the "@"/],
    [["-kv-token", "@SECRET"], {}, /^-kv-token: can't read the file behind the "@"/],
    [[], { GOTO_TOKEN: `@SECRET${"x".repeat(300)}` }, /^GOTO_TOKEN: can't read the file behind/],
    [["-token=@SECRET\0"], {}, /^-token: can't read the file behind the "@": no such file/],
    [["-token=SEC RET"], {}, /^-token: this value is not allowed: use visible ASCII/],
    [["-token=SECRÉT"], {}, /^-token: this value is not allowed/],
    [["-token", "x", "SECRET"], {}, /^unexpected argument behind -token; a value with spaces/],
    [["-token", "x", "-rpc", "SECRET"], {}, /^unexpected argument behind -token/],
    [["-tokenSECRET"], {}, /^unknown flag -token…; -help lists them/],
    [["-rpc-token:SECRET"], {}, /^unknown flag -rpc-token…; -help/],
    [["-http://u:SECRET@h"], {}, /^unknown flag -http:\/\/…@h; -help/],
    [["u:SECRET@h"], {}, /^unexpected argument "…@h"/],
    [
      ["-import=http://u:SECRET@h/x"],
      {},
      /^-import: "http:\/\/…@h\/x" is not allowed: use the name/,
    ],
    [["-file=http://u:SECRET@h/x"], {}, /^-file: "http:\/\/…@h\/x" is not allowed: use the name/],
    [["-backup=http://u:SECRET@h/x"], {}, /^-backup: "http:\/\/…@h\/x" is not allowed: use the/],
    [["-tls-ca=http://u:SECRET@h/x"], {}, /^-tls-ca: "http:\/\/…@h\/x" is not allowed: use the/],
    [["token=SECRET"], {}, /^unexpected argument "token=…"/],
  ];
  for (const [args, env, says] of wrong) {
    const { message } = assertThrows(() => parseFlags(args, (name) => env[name]), UsageError);
    assertMatch(message, says);
    assertFalse(/S.?E.?C|RET/.test(message), message);
  }
});
