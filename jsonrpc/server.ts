/**
 * JSON-RPC 2.0, served: what Go's `net/rpc` is to the Go program.
 *
 * @module
 */
import { setImmediate } from "node:timers"; // not a global in every version of the platform
import { quote } from "../links/text.ts";

const MAX_BATCH = 10_000; // calls that are taken at once
const MAX_TURN = 250; // calls of a batch that are made before everyone else has a turn
/** So many characters of a batch's answer may be results of safe methods; one result may be longer. */
export const MAX_BATCH_ANSWER = 4 << 20;
const MAX_LARGE = 16; // calls of a batch that may take long
/** The code of calls that a batch had no room for: they were not made, or had no effect. */
export const NO_ROOM = -32006;

/** A parameter, which is a text. */
export interface Param {
  name: string;
  optional?: boolean;
  /** Whether it may be given as a number, too. */
  number?: boolean;
  /** Whether it must be a whole number. */
  whole?: boolean;
  /** Least and most characters. */
  min?: number;
  max?: number;
}

/** What was given for the parameters, in their order. */
export type Args = (string | undefined)[];

/**
 * What a method takes, in this order or by name, and does. A promise is waited for. All calls of one
 * text share a context.
 */
export interface Method<Context = undefined> {
  params: Param[];
  /** Whether it changes nothing, so that its result may be left out where there is no room for it. */
  safe?: boolean;
  /** Whether it may take long, or give much: of such a batch makes one after the other, and only a few. */
  large?: boolean;
  call(args: Args, context: Context): unknown;
}

/** Told of what is served. */
export interface Observer {
  /** There was a request, with so many calls. */
  request(calls: number): void;
  call(method: string): void;
  error(code: number): void;
}

/** The error member of an answer. */
export interface RPCError {
  code: number;
  message: string;
  data?: unknown;
}

/** A request, as it may come. */
interface Request {
  jsonrpc?: unknown;
  method?: unknown;
  params?: unknown;
  id?: unknown;
}

/** What the results in a batch's answer may still take. */
interface Room {
  left: number;
  full: boolean;
  /** How many large calls there were, and the last one of them. */
  large: number;
  turn: Promise<Answer>;
}

/** An answer to one request; a notification has none. */
type Answer = string | undefined;
type Id = string | number | null;

/**
 * Serves methods: a text in, a text out, or nothing where the text holds only notifications. The
 * answer is there at once where the methods' are.
 *
 * @param explain what is said of an error that a method threw
 * @param observer told of what is served
 * @example
 * ```ts
 * const echo: Method = { params: [{ name: "text" }], call: ([text]) => text };
 * const answer = serve(new Map([["Echo", echo]]), () => ({ code: 1, message: "failed" }));
 * answer('{"jsonrpc":"2.0","method":"Echo","params":["hello"],"id":1}', undefined);
 * // {"jsonrpc":"2.0","id":1,"result":"hello"}
 * ```
 */
export function serve<Context>(
  methods: ReadonlyMap<string, Method<Context>>,
  explain: (error: unknown) => RPCError,
  observer?: Observer,
): (text: string, context: Context) => Answer | Promise<Answer> {
  return (text, context) => {
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      observer?.error(-32700);
      return failure(null, { code: -32700, message: "Parse error" });
    }
    observer?.request(Array.isArray(body) ? body.length : 1);
    if (!Array.isArray(body)) return answer(body, context);
    if (body.length === 0) return invalid();
    if (body.length > MAX_BATCH) return invalid(`: a batch holds at most ${MAX_BATCH} calls`);
    const room: Room = {
      left: MAX_BATCH_ANSWER,
      full: false,
      large: 0,
      turn: Promise.resolve(undefined),
    };
    if (body.length > MAX_TURN) return answerInTurns(body, context, room);
    const answers = body.map((request) => answer(request, context, room));
    return answers.every(isSettled) ? batch(answers) : Promise.all(answers).then(batch);
  };

  async function answerInTurns(body: unknown[], context: Context, room: Room): Promise<Answer> {
    const answers: (Answer | Promise<Answer>)[] = [];
    for (const [i, request] of body.entries()) {
      if (i > 0 && i % MAX_TURN === 0) await (turn = nextTurn(turn));
      answers.push(answer(request, context, room));
    }
    return batch(await Promise.all(answers));
  }

  function invalid(why = "", id: Id = null): string {
    observer?.error(-32600);
    return failure(id, { code: -32600, message: `Invalid Request${why}` });
  }

  function answer(
    request: unknown,
    context: Context,
    room?: Room,
  ): Answer | Promise<Answer> {
    if (typeof request !== "object" || request === null || Array.isArray(request)) return invalid();
    const { jsonrpc, method, params, id }: Request = request;
    if (!isId(id)) return invalid();
    if (jsonrpc !== "2.0" || typeof method !== "string") return invalid("", id);
    const fail = (error: RPCError) => {
      observer?.error(error.code);
      return id === undefined ? undefined : failure(id, error);
    };
    const known = methods.get(method);
    observer?.call(known ? method : "unknown");
    if (!known) return fail({ code: -32601, message: "Method not found" });
    const bounded = known.safe && id !== undefined ? room : undefined;
    if (bounded?.full) return fail(errNoRoom);
    const succeed = (result: unknown) => {
      if (id === undefined) return;
      const text = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${
        JSON.stringify(result)
      }}`;
      return bounded && !take(bounded, text.length) ? fail(errNoRoom) : text;
    };
    const args = bind(known.params, params);
    if (typeof args === "string") return fail({ code: -32602, message: `Invalid params${args}` });
    const make = () => {
      try {
        const result = known.call(args, context);
        if (!(result instanceof Promise)) return succeed(result);
        return result.then(succeed, (error) => fail(explain(error)));
      } catch (error) {
        return fail(explain(error));
      }
    };
    if (!known.large || room === undefined) return make();
    if (room.large++ >= MAX_LARGE) return fail(errNoRoom);
    return room.turn = room.turn.then(() => bounded?.full ? fail(errNoRoom) : make());
  }
}

// Large batches take turns: together they keep others waiting no longer than one alone does.
let turn = Promise.resolve();

async function nextTurn(before: Promise<void>): Promise<void> {
  await before;
  await new Promise((resolve) => setImmediate(resolve));
}

const errNoRoom = {
  code: NO_ROOM,
  message: "the batch asks for too much: ask for the rest again",
};

/** Takes room for one more result. There is always room for the first, or nobody would ever get it. */
function take(room: Room, length: number): boolean {
  room.full ||= length > room.left && room.left < MAX_BATCH_ANSWER;
  if (!room.full) room.left -= length;
  return !room.full;
}

function isSettled(answer: Answer | Promise<Answer>): answer is Answer {
  return !(answer instanceof Promise);
}

function isId(id: unknown): id is Id | undefined {
  return typeof id === "string" || typeof id === "number" || id === null || id === undefined;
}

function batch(answers: Answer[]): Answer {
  const texts = answers.filter((answer) => answer !== undefined);
  return texts.length > 0 ? `[${texts.join(",")}]` : undefined;
}

function failure(id: Id, { code, message, data }: RPCError): string {
  return JSON.stringify({ jsonrpc: "2.0", id, error: { code, message, data } });
}

/** Params by position or by name; an optional one may be null. A text says more of what is wrong. */
function bind(params: Param[], given: unknown = []): Args | string {
  if (typeof given !== "object" || given === null) return "";
  let values: unknown[] = [];
  if (Array.isArray(given)) {
    values = given;
  } else {
    for (const [name, value] of Object.entries(given)) {
      const at = params.findIndex((param) => param.name === name);
      if (at === -1) return `: ${quote(name)} is not known`;
      values[at] = value;
    }
  }
  if (values.length > params.length) return "";
  const args: Args = [];
  for (const [i, param] of params.entries()) {
    const { name, optional = false, number, whole, min = 0, max = Infinity } = param;
    let value = values[i] ?? undefined;
    if (number && typeof value === "number") value = String(value);
    if (typeof value === "string" && !value.isWellFormed()) {
      return ": a lone surrogate is no character";
    }
    if (whole && typeof value === "string" && !/^\d+$/.test(value)) {
      return `: ${quote(name)} must be a whole number`;
    }
    if (typeof value === "string" && value.length >= min && value.length <= max) args.push(value);
    else if (value === undefined && optional) args.push(undefined);
    else return "";
  }
  return args;
}
