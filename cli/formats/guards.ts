/**
 * What keeps links from everybody, or leads some elsewhere: none of it can be kept.
 *
 * @module
 */
import { isExpired } from "../../links/time.ts";
import type { Column } from "./layout.ts";
import { plain } from "./program.ts";
import type { Remarks } from "./remarks.ts";
import { isOff, isOn, isUnset, quote, readTime, Unfit } from "./values.ts";

/** Says by its value whether the link is for everybody. */
type Kind =
  /** It is, if the value says no, or nothing. */
  | "flag"
  /** It is, if there is no value: a password may be "0", or "no". */
  | "secret"
  /** It is, if that time has come. */
  | "since"
  /** It is, if the value says yes, or nothing. */
  | "active";

/** A column that says whether a link is for everybody, and what it is if not. */
export interface Guard extends Column {
  kind: Kind;
  reason: string;
}

const DEVICES = "it leads elsewhere on some devices";
const RULES = "it has rules that lead elsewhere";

/** What they are called, without an "is" in front. */
const GUARDS: { kind: Kind; reason: string; names: string[] }[] = [
  {
    kind: "secret",
    reason: "it has a password",
    names: ["password", "pass", "passwd", "passphrase", "passwordhash", "hashedpassword"],
  },
  {
    kind: "flag",
    reason: "it has a password",
    names: ["haspassword", "passwordprotected", "passwordenabled"],
  },
  { kind: "flag", reason: "it is protected", names: ["protected"] },
  { kind: "flag", reason: "it is private", names: ["private"] },
  {
    kind: "flag",
    reason: "it has a limit of visits",
    names: ["maxvisits", "metamaxvisits", "visitlimit", "visitslimit", "maxhits", "maxuses"],
  },
  {
    kind: "flag",
    reason: "it has a limit of clicks",
    names: ["maxclicks", "clicklimit", "clickslimit"],
  },
  {
    kind: "since",
    reason: "it doesn't lead anywhere yet",
    names: [
      ...["validsince", "metavalidsince", "validfrom", "activefrom", "availablefrom"],
      ...["startsat", "startson", "startat", "startdate", "starts"],
    ],
  },
  { kind: "flag", reason: "it is banned", names: ["banned"] },
  { kind: "flag", reason: "it is blocked", names: ["blocked", "suspended"] },
  { kind: "flag", reason: "it is disabled", names: ["disabled", "disabledat", "inactive"] },
  { kind: "flag", reason: "it is deleted", names: ["deleted", "deletedat", "trashed"] },
  { kind: "flag", reason: "it has ended", names: ["expired"] },
  { kind: "active", reason: "it is not active", names: ["active", "enabled"] },
  { kind: "flag", reason: RULES, names: ["redirectrules", "hasredirectrules"] },
  {
    kind: "flag",
    reason: DEVICES,
    names: ["devicelongurls", "ios", "android", "iosurl", "iphoneurl", "androidurl"],
  },
  { kind: "flag", reason: "it leads elsewhere from some countries", names: ["geo"] },
  { kind: "flag", reason: "it leads to several URLs", names: ["testvariants", "spliturl"] },
];
const BY_NAME = new Map(
  GUARDS.flatMap(({ names, ...guard }) => names.map((name) => [name, guard])),
);

/** The guards among columns that say nothing else. A member of a member guards as that does. */
export function findGuards(columns: Column[]): Guard[] {
  return columns.flatMap((column) => {
    const { name } = column;
    const guard = find(plain(name)) ?? find(plain(name.split(".", 1)[0]));
    return guard === undefined ? [] : [{ ...column, ...guard }];
  });
}

function find(name: string): { kind: Kind; reason: string } | undefined {
  const guard = BY_NAME.get(name) ?? BY_NAME.get(name.replace(/^is/, ""));
  if (guard !== undefined) return guard;
  // Of what ends nobody must think that it doesn't, whatever the end is called.
  if (!/^expir(?!edurl$)|^ttl$/.test(name)) return;
  return { kind: "flag", reason: "it may end: call the column with its end expires" };
}

/**
 * Refuses a link that isn't for everybody, or that leads some elsewhere.
 *
 * @throws {Unfit} it is one
 */
export function checkGuards(guards: Guard[], values: unknown[], remarks: Remarks): void {
  for (const { at, name, kind, reason } of guards) {
    const value = values[at];
    if (kind === "since") {
      const since = readTime(value, name, false, remarks);
      if (since !== 0 && !isExpired(since)) throw new Unfit(`${reason} (${name} ${quote(value)})`);
    } else if (!isHarmless(kind, value)) throw new Unfit(`${reason} (${name})`);
  }
}

function isHarmless(kind: Kind, value: unknown): boolean {
  if (kind === "secret") return isUnset(value) || value === false || value === "false";
  return kind === "active" ? isUnset(value) || isOn(value) : isOff(value);
}
