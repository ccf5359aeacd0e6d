/**
 * The command line: one table, which is parsed, read from the environment, and printed as help.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { conflictOf } from "./together.ts";
import { typoIn } from "./typos.ts";
import {
  FileProblem,
  oneOf,
  parseAddress,
  parseBoolean,
  parseCertificates,
  parseCount,
  parseDatabase,
  parseFile,
  parseForm,
  parseHeader,
  parseHost,
  parseMasters,
  parseNewFile,
  parseOrigins,
  parseSecret,
} from "./values.ts";

/** A flag: what it may be, and what it means. `parse` throws what is allowed. */
interface Flag<T> {
  default: string;
  /** What the help calls its value; a flag without one is true when it is there. */
  arg?: string;
  help: string;
  parse: (text: string) => T;
  /** Whether nobody shall read its value, in an error either. */
  secret?: boolean;
  /**
   * Whether a variable that is set but empty is a mistake, since without it the server is another one,
   * or open to others; elsewhere it counts as none.
   */
  telling?: boolean;
  /** Whether a server is open to more without it, though a variable that is empty counts as none. */
  guards?: boolean;
  /** Another variable that is read, where neither the flag nor its own one is there. */
  variable?: string;
}

const FLAGS = {
  http: {
    ...flag(":8080", "ADDR", "listen address: :port (all addresses) or host:port", parseAddress),
    guards: true,
  },
  host: flag(
    "",
    "HOST",
    "what short links start with (localhost and the port of -http)",
    parseHost,
  ),
  file: {
    ...flag(
      "",
      "FILE",
      "the master's journal (store.jsonl); a mirror's; with -kv: a copy",
      parseFile,
    ),
    telling: true,
  },
  kv: {
    ...flag("", "PLACE", "keep the links in a database: a path, or a service's URL", parseDatabase),
    telling: true,
  },
  "kv-token": {
    ...flag("", "TOKEN", "what the service of -kv asks for; @FILE holds it", parseSecret),
    secret: true,
    telling: true,
    variable: "DENO_KV_ACCESS_TOKEN",
  },
  rpc: flag("false", undefined, "serve RPC to replicas", parseBoolean),
  master: {
    ...flag("", "ADDR", "be a replica of this master; several, comma-separated", parseMasters),
    telling: true,
  },
  promote: flag(
    "false",
    undefined,
    "take over as the master, with a mirror's or restored links: others are refused",
    parseBoolean,
  ),
  threads: flag("1", "N", "answer HTTP on so many threads (0: one per core)", parseCount(256)),
  cache: flag("1000000", "N", "most links a replica keeps in memory", parseCount(16_000_000)),
  keys: {
    ...flag("counter", "KIND", "counter, or random (not guessable)", oneOf("counter", "random")),
    guards: true,
  },
  sync: flag("always", "WHEN", "always, or none: leave it to the OS", oneOf("always", "none")),
  token: {
    ...flag(
      "",
      "TOKEN",
      "required of who adds, changes or lists links; @FILE holds it",
      parseSecret,
    ),
    secret: true,
    telling: true,
  },
  "rpc-token": {
    ...flag("", "TOKEN", "required of replicas; @FILE holds it", parseSecret),
    secret: true,
    telling: true,
  },
  hits: flag(
    "true",
    undefined,
    "count how often links are followed; -hits=false doesn't",
    parseBoolean,
  ),
  rate: {
    ...flag(
      "0",
      "N",
      "changes of links a minute for each client (0: any number)",
      parseCount(60_000),
    ),
    guards: true,
  },
  suffix: flag(
    "false",
    undefined,
    "follow KEY/MORE?QUERY as KEY, with the rest added to its URL",
    parseBoolean,
  ),
  proxy: flag("0", "N", "proxies in front whose X-Forwarded-For is believed", parseCount(16)),
  "user-header": flag(
    "",
    "NAME",
    "the header in which a proxy says who creates and changes links",
    parseHeader,
  ),
  cors: flag("", "ORIGIN", "pages that may use the API; several, comma-separated", parseOrigins),
  admin: {
    ...flag(
      "",
      "ADDR",
      "serve /healthz, /readyz and /metrics at this address, and nowhere else",
      (text) => text === "" ? undefined : parseAddress(text),
    ),
    guards: true,
  },
  "tls-cert": {
    ...flag("", "FILE", "serve HTTPS with this certificate; read again on change", parseFile),
    guards: true,
  },
  "tls-key": flag("", "FILE", "the key of -tls-cert", parseFile),
  "tls-ca": flag(
    "",
    "FILE",
    "trust these certificates of https:// masters, too; read again on change",
    parseCertificates,
  ),
  log: flag(
    "text",
    "FORM",
    "how events are written to stderr: text or json",
    oneOf("text", "json"),
  ),
  access: flag("false", undefined, "tell of every request, too", parseBoolean),
  compact: flag(
    "false",
    undefined,
    "drop superseded lines from -file, -kv or what -master has, and exit",
    parseBoolean,
  ),
  repair: flag("false", undefined, "move bad lines of -file to FILE.bad", parseBoolean),
  import: flag("", "FILE", "take over the links in FILE (-: standard input), and exit", parseFile),
  "dry-run": flag("false", undefined, "only tell what -import would do", parseBoolean),
  backup: flag(
    "",
    "FILE",
    "write all links of -file, -kv or -master to FILE, and exit",
    parseNewFile,
  ),
  export: flag(
    "false",
    undefined,
    "write all links to standard output (-export=csv: as CSV), and exit",
    parseForm,
  ),
  healthcheck: flag(
    "false",
    undefined,
    "ask the server at -admin, or else at -http, whether it is alive",
    parseBoolean,
  ),
  version: flag("false", undefined, "print the version", parseBoolean),
  help: flag("false", undefined, "print this", parseBoolean),
};

/** The value of every flag. */
export type Flags = { [Name in keyof typeof FLAGS]: ReturnType<(typeof FLAGS)[Name]["parse"]> };

/** A command line that can't be understood: one line that says why. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message.replace(/[\r\n]+/g, " "));
  }
}

/**
 * Reads a command line in Go's spelling; where it is silent, the environment.
 *
 * @throws {UsageError} an unknown flag, or a value that isn't allowed
 * @example
 * ```ts
 * parseFlags(["-http=:9000", "-rpc"], () => undefined).http.port; // 9000
 * ```
 */
export function parseFlags(args: string[], env: (name: string) => string | undefined): Flags {
  const given = new Map<string, { text: string; from: string }>();
  const names = Object.entries<Flag<unknown>>(FLAGS);
  const typo = findTypo(names, env);
  if (typo !== undefined) throw new UsageError(typo);
  for (const [name, { telling, variable: other }] of names) {
    const own = variableOf(name);
    for (const variable of other === undefined ? [own] : [other, own]) {
      const text = env(variable);
      if (text || telling && text === "") given.set(name, { text, from: variable });
    }
  }
  const { tokens } = parseArgs({
    // Go takes one dash or two.
    args: args.map((arg) => arg === "-h" ? "--help" : arg.replace(/^-(?=[^-])/, "--")),
    options: Object.fromEntries(
      names.map((
        [name, { arg }],
      ) => [name, { type: arg ? "string" as const : "boolean" as const }]),
    ),
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      const before = SECRETS.find((name) => given.get(name)?.from === `-${name}`);
      // "token=abc" lacks its dash.
      const value = shown(token.value).replace(/=.*$/s, "=…");
      const what = before ? `argument behind -${before}` : `argument "${value}"`;
      throw new UsageError(`unexpected ${what}; a value with spaces needs quotes`);
    }
    const flag = names.find(([name]) => name === token.name)?.[1];
    if (!flag) {
      // A secret may stand right behind its flag.
      const near = SECRETS.find((name) => token.name.startsWith(name));
      const name = near ? `${near}…` : shown(token.name);
      throw new UsageError(`unknown flag -${name}; -help lists them`);
    }
    // Where another flag follows, the value was forgotten; one with a dash can be given after "=".
    const value = token.value?.startsWith("--") && !token.inlineValue ? undefined : token.value;
    if (value === undefined && flag.arg) {
      throw new UsageError(`-${token.name} needs a value: ${flag.help}`);
    }
    given.set(token.name, { text: value ?? "true", from: `-${token.name}` });
  }
  const values = names.map(([name, flag]) => {
    const { text, from } = given.get(name) ?? { text: flag.default, from: name };
    try {
      const value = flag.parse(text);
      if (given.has(name) && text.trim() === "") {
        throw new Error("give it a value, or leave it out");
      }
      return [name, value];
    } catch (error) {
      if (error instanceof FileProblem) throw new UsageError(`${from}: ${error.message}`);
      const allowed = error instanceof Error ? error.message : error;
      const value = flag.secret ? "this value" : `"${shown(text)}"`;
      throw new UsageError(`${from}: ${value} is not allowed: ${allowed}`);
    }
  });
  const flags = Object.fromEntries(values) as Flags;
  const conflict = conflictOf(flags);
  if (conflict !== undefined) throw new UsageError(conflict);
  return flags;
}

/** The variable that stands for a flag. */
function variableOf(name: string): string {
  return `GOTO_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** A line about a variable that was meant to keep others out, and has another name. */
function findTypo(
  flags: [name: string, flag: Flag<unknown>][],
  env: (name: string) => string | undefined,
): string | undefined {
  const known = new Set(flags.map(([name]) => variableOf(name)));
  const guarded = flags.filter(([, { telling, guards }]) => telling || guards);
  return typoIn(
    guarded.map(([name]) => variableOf(name)),
    known,
    (name) => env(name) !== undefined,
  );
}

/** The flags whose values nobody shall read. */
const SECRETS = Object.entries<Flag<unknown>>(FLAGS).filter(([, { secret }]) => secret)
  .map(([name]) => name);

/** A value as an error shows it: without the user and the password of a URL, and without its query. */
function shown(text: string): string {
  return text.replace(/^([a-z][\w+.-]*:\/\/)?.*@/is, "$1…@").replace(/[?#].*$/s, "?…");
}

/** The text of `-help`. */
export function help(): string {
  const lines = Object.entries<Flag<unknown>>(FLAGS).map(([name, flag]) => {
    const left = flag.arg ? `-${name} ${flag.arg}` : `-${name}`;
    const standard = flag.arg && flag.default ? ` (default ${flag.default})` : "";
    return `  ${left.padEnd(18)} ${flag.help}${standard}`;
  });
  return `goto shortens URLs.

  goto                                  a master on :8080, its links in store.jsonl
  goto -rpc                             the same, and replicas may ask it
  goto -master=HOST:8080 -http=:8081    a replica

${lines.join("\n")}

Every flag can be set in the environment too: GOTO_HTTP, GOTO_RPC_TOKEN, ...
`;
}

function flag<T>(
  standard: string,
  arg: string | undefined,
  help: string,
  parse: (text: string) => T,
): Flag<T> {
  return { default: standard, arg, help, parse };
}
