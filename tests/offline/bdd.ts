/**
 * What the tests use of `@std/testing/bdd`, for networks that do not reach JSR. Like the original it
 * stands on `Deno.test`, whose sanitizers `node:test` would switch off.
 *
 * @module
 */

type Hook = () => void | Promise<void>;
type Test = Omit<Deno.TestDefinition, "only">;
type Options = Partial<Omit<Test, "fn">>;
type Args<F> =
  | [name: string, fn: F]
  | [name: string, options: Options, fn: F]
  | [options: Options, fn: F]
  | [fn: F]
  | [options: Options & { fn: F }];

class Suite {
  readonly tests: Test[] = [];
  readonly hooks: Record<"beforeAll" | "afterAll" | "beforeEach" | "afterEach", Hook[]> = {
    beforeAll: [],
    afterAll: [],
    beforeEach: [],
    afterEach: [],
  };
  constructor(readonly parent?: Suite) {}

  async around(t: Deno.TestContext, fn: Test["fn"]): Promise<void> {
    if (this.parent) return await this.parent.around(t, (t) => this.#around(t, fn));
    await this.#around(t, fn);
  }

  async #around(t: Deno.TestContext, fn: Test["fn"]): Promise<void> {
    try {
      for (const hook of this.hooks.beforeEach) await hook();
      await fn(t);
    } finally {
      for (const hook of this.hooks.afterEach) await hook();
    }
  }

  async run(t: Deno.TestContext): Promise<void> {
    try {
      for (const hook of this.hooks.beforeAll) await hook();
      for (const test of this.tests) await t.step(test);
    } finally {
      for (const hook of this.hooks.afterAll) await hook();
    }
  }
}

/** The suite whose `describe` is being read; none at the top level. */
let current: Suite | undefined;

function register(test: Test) {
  if (current) current.tests.push(test);
  else Deno.test(test);
}

function definition<F extends CallableFunction>(args: Args<F>): Options & { name: string; fn: F } {
  const parts = args.map((arg) =>
    typeof arg === "string" ? { name: arg } : typeof arg === "function" ? { fn: arg } : arg
  );
  const merged = Object.assign({}, ...parts);
  return { ...merged, name: merged.name ?? merged.fn.name };
}

type ItArgs = Args<Test["fn"]>;

export function it(...args: ItArgs) {
  const { fn, ...options } = definition(args);
  const suite = current;
  register({ ...options, fn: suite ? (t) => suite.around(t, fn) : fn });
}
it.ignore = it.skip = (...args: ItArgs) => it({ ...definition(args), ignore: true });

export const test = it;

export function describe(...args: Args<() => void>) {
  const { fn, ...options } = definition(args);
  const suite = new Suite(current);
  current = suite;
  try {
    fn();
  } finally {
    current = suite.parent;
  }
  register({ ...options, fn: (t) => suite.run(t) });
}
describe.ignore = describe.skip = (...args: Args<() => void>) =>
  describe({ ...definition(args), ignore: true });

const addHook = (name: keyof Suite["hooks"]) => (hook: Hook) =>
  current ? void current.hooks[name].push(hook) : Deno.test[name](hook);

export const beforeAll = addHook("beforeAll");
export const afterAll = addHook("afterAll");
export const beforeEach = addHook("beforeEach");
export const afterEach = addHook("afterEach");
