/**
 * Clients that read and write links at all machines, and remember what they were told.
 *
 * @module
 */
import { random } from "../../tests/random.ts";
import type { Cluster } from "./cluster.ts";
import { type Kind, type Operation, type Outcome, urlOf } from "./history.ts";
import type { Machine } from "./machine.ts";

const KEYS = 16; // chosen ones, which all clients share
const MAX_KEYS = 300; // with those that the counter gave: each is looked up at each machine
/** A link that nobody changes, so that whoever asks for its key is refused. */
export const TAKEN = "taken";
const AT_EACH = 2; // clients
const DEADLINE_MS = 4000; // of one question

const OUTCOMES: Record<number, Outcome> = {
  200: "done",
  201: "done",
  204: "done",
  302: "done",
  404: "missing",
  409: "exists",
  507: "full",
};

/** Makes the link that nobody changes. */
export async function prepare(cluster: Cluster): Promise<void> {
  await ask(cluster, cluster.master, "put", TAKEN);
}

/** Lets clients work until `signal` is aborted. */
export async function work(
  cluster: Cluster,
  seed: number,
  think: number,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    cluster.machines.flatMap((machine, at) =>
      Array.from({ length: AT_EACH }, async (_, nth) => {
        const { pick } = random(seed + AT_EACH * at + nth);
        while (!signal.aborted) {
          await act(cluster, machine, pick);
          await new Promise((resolve) => setTimeout(resolve, pick(think)));
        }
      })
    ),
  );
}

/** Does one thing, and looks at what came of it. */
async function act(cluster: Cluster, machine: Machine, pick: (n: number) => number): Promise<void> {
  const kind = (["get", "get", "get", "put", "update", "update", "delete"] as const)[pick(7)];
  const isNew = kind === "put" && pick(4) === 0 && cluster.keys.size < MAX_KEYS;
  const keys = [...cluster.keys].filter((key) => key !== TAKEN);
  const chosen = pick(4) === 0 && keys.length > 0 ? keys[pick(keys.length)] : `k${pick(KEYS)}`;
  // Now and then a client goes before it has its answer.
  const patience = pick(30) === 0 ? pick(20) : DEADLINE_MS;
  const { key, outcome } = await ask(cluster, machine, kind, isNew ? "" : chosen, patience);
  if (kind !== "get" && outcome !== "unknown") await ask(cluster, machine, "get", key);
}

/** Asks one question, and records it with its answer. */
export async function ask(
  cluster: Cluster,
  machine: Machine,
  kind: Kind,
  key: string,
  patience = DEADLINE_MS,
): Promise<Operation> {
  const { history, observer } = cluster;
  const name = history.name();
  const operation: Operation = {
    name,
    kind,
    key,
    url: kind === "put" || kind === "update" ? urlOf(name) : "",
    start: cluster.now(),
    end: Infinity,
    outcome: "unknown",
    process: machine.process,
    epoch: observer.epoch.number,
    excused: isExcused(cluster, machine),
  };
  if (key !== "") cluster.keys.add(key);
  try {
    const { status, location, text } = await send(
      machine.front ?? machine.url,
      operation,
      patience,
    );
    operation.end = cluster.now();
    operation.outcome = OUTCOMES[status] ?? "unknown";
    if (kind === "get") {
      if (status === 302) operation.url = location ?? "";
      if (status === 404) operation.outcome = "done";
    } else if (status === 201 && key === "") {
      operation.key = JSON.parse(text).key;
      cluster.keys.add(operation.key);
    }
    if (operation.outcome === "unknown" && status !== 503) {
      cluster.broken.push(`${machine.name}: ${kind} ${key}: ${status} ${text}`);
    }
  } catch {
    // Nobody can say what became of it.
  }
  if (operation.outcome === "unknown") operation.end = Infinity;
  operation.excused ||= isExcused(cluster, machine);
  history.record(operation);
  return operation;
}

/** A master needs nobody to ask, unless its database is restored. */
function isExcused({ excused, restored }: Cluster, { shares }: Machine): boolean {
  return shares ? restored : excused;
}

async function send(base: string, { name, kind, key, url }: Operation, patience: number) {
  const method = { get: "GET", put: "POST", update: "PUT", delete: "DELETE" }[kind];
  const path = kind === "get" ? `/${key}` : kind === "put" ? "/api/links" : `/api/links/${key}`;
  const body = kind === "put" ? { url, key: key || undefined } : kind === "update" ? { url } : null;
  const response = await fetch(`${base}${path}`, {
    method,
    redirect: "manual",
    headers: { "content-type": "application/json", "x-user": name },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(patience),
  });
  const text = await response.text();
  return { status: response.status, location: response.headers.get("location"), text };
}
