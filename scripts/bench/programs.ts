/**
 * The programs that are measured.
 *
 * @module
 */
import { writeMap } from "./links.ts";
import type { Command } from "./server.ts";
import { findCommand, progress, run } from "./tools.ts";

/** A URL shortener that takes the flags of this one. */
export interface Program {
  name: string;
  with(...flags: string[]): Command;
}

/** Which programs there are. */
export interface Programs {
  ours: Program;
  /** Another version of this one. */
  beside?: Program;
  /** The one that this is a port of. */
  go?: Program;
  nginx?: string;
}

/** @param beside a folder with another version of this program */
export async function findPrograms(temp: string, beside?: string): Promise<Programs> {
  const go = await findCommand("version", "go");
  if (go === undefined) progress("Go is not installed: going on without it");
  const nginx = await findCommand("-v", "nginx", "/usr/sbin/nginx"); // where only root's PATH leads
  if (nginx === undefined) progress("nginx is not installed: going on without it");
  return {
    ours: await deno("goto", new URL("../..", import.meta.url).pathname),
    beside: beside === undefined ? undefined : await deno("goto, beside", beside),
    go: go === undefined ? undefined : await build(go, temp),
    nginx,
  };
}

/** A version of this program, as `deno task start` in its folder starts it. */
async function deno(name: string, folder: string): Promise<Program> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${folder}/deno.json`));
  const [, ...args] = tasks.start.command.replaceAll("'", "").split(" ");
  const program = [Deno.execPath(), ...args.slice(0, -1), `${folder}/main.ts`];
  return {
    name,
    with: (...flags) => (port) => [...program, `-http=127.0.0.1:${port}`, ...flags],
  };
}

async function build(go: string, temp: string): Promise<Program> {
  progress("building the Go program");
  const binary = `${temp}/goto-go`;
  await run(go, ["build", "-o", binary, `${import.meta.dirname}/goto.go`], 120);
  return {
    name: "Go",
    with: (...flags) => (port) => [binary, `-http=127.0.0.1:${port}`, ...flags],
  };
}

/** A server that answers every request alike; see ceiling.ts. */
export function bare(kind: "redirect" | "post"): Command {
  const script = `${import.meta.dirname}/ceiling.ts`;
  return (
    port,
  ) => [Deno.execPath(), "run", "--no-prompt", "--allow-net", script, String(port), kind];
}

/** nginx with so many links: one process without logs, which is all of it that a redirect needs. */
export function nginx(command: string, temp: string, links: number): Command {
  const map = `${temp}/nginx-${links}.map`;
  writeMap(map, links);
  return (port) => {
    const conf = `${temp}/nginx-${port}.conf`;
    Deno.writeTextFileSync(
      conf,
      `daemon off; master_process off; pid ${conf}.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${temp}/body; proxy_temp_path ${temp}/proxy;
  fastcgi_temp_path ${temp}/fastcgi; uwsgi_temp_path ${temp}/uwsgi; scgi_temp_path ${temp}/scgi;
  map_hash_max_size ${Math.max(4 * links, 10_000)};
  map_hash_bucket_size 256;
  map $uri $target { include ${map}; }
  server {
    listen 127.0.0.1:${port};
    location / {
      if ($target = "") { return 404; }
      add_header cache-control no-store;
      return 302 $target;
    }
  }
}
`,
    );
    return [command, "-c", conf, "-e", "stderr"];
  };
}
