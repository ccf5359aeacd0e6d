/**
 * Which flags go together.
 *
 * @module
 */
import type { Flags } from "./flags.ts";
import { isService } from "./values.ts";

/** Why one flag makes no sense beside, or without, another; nothing, if all go together. */
export function conflictOf(flags: Flags): string | undefined {
  const { kv, master, promote, compact, repair, backup, sync } = flags;
  const { "tls-cert": cert, "tls-key": key } = flags;
  if (promote && master.length > 0) {
    return "-promote makes a master: leave -master out, and GOTO_MASTER";
  }
  if (flags["user-header"] !== "" && flags.proxy === 0) {
    return "-user-header needs -proxy: without one anybody could send that header";
  }
  if ((cert === "") !== (key === "")) {
    return "-tls-cert and -tls-key go together: give both, or none";
  }
  if (flags.healthcheck && cert !== "" && !flags.admin) {
    return "-healthcheck speaks HTTP: with -tls-cert it needs -admin";
  }
  const [command, another] = given({
    "-compact": compact,
    "-import": flags.import !== "",
    "-backup": backup !== "",
    "-export": flags.export !== undefined,
    "-healthcheck": flags.healthcheck,
  });
  if (another !== undefined) return pair(command, another);
  if (flags["dry-run"]) {
    if (flags.import === "") return "-dry-run needs -import: it tells what that would do";
    const [changes] = given({ "-promote": promote, "-repair": repair });
    if (changes !== undefined) return pair("-dry-run", changes);
  }
  if (kv === "") return;
  const [other] = given({
    "-master": master.length > 0,
    "-repair": repair,
    "-sync=none": sync === "none",
  });
  if (other !== undefined) return pair("-kv", other);
  if (isService(kv) && !flags["kv-token"]) {
    return `-kv: ${kv} asks for a token: give it as GOTO_KV_TOKEN`;
  }
}

/** The flags that are there. */
function given(flags: Record<string, boolean>): string[] {
  return Object.entries(flags).filter(([, isThere]) => isThere).map(([name]) => name);
}

function pair(one: string, other: string): string {
  return `${one} and ${other} don't go together: give one of them`;
}
