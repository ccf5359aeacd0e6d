/**
 * What the tests use of `@std/assert`, over `node:assert/strict`, for networks that do not reach
 * JSR. Where the two differ, this is the stricter (`{}` does not equal an object without prototype).
 *
 * @module
 */
import node from "node:assert/strict";

export { AssertionError } from "node:assert/strict";

// deno-lint-ignore no-explicit-any
type Class<T> = abstract new (...args: any[]) => T;

export function fail(msg?: string): never {
  node.fail(msg ? `Failed assertion: ${msg}` : "Failed assertion.");
}

export function unreachable(msg = "Unreachable."): never {
  node.fail(msg);
}

export function assert(expr: unknown, msg?: string): asserts expr {
  node.ok(expr, msg);
}

export function assertFalse(expr: unknown, msg?: string): asserts expr is false {
  node.ok(!expr, msg ?? "Expected a falsy value");
}

export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  node.ok(actual !== undefined && actual !== null, msg ?? `Expected a value, got ${actual}`);
}

export function assertEquals<T>(actual: T, expected: T, msg?: string) {
  node.deepStrictEqual(actual, expected, msg);
}

export function assertNotEquals<T>(actual: T, expected: T, msg?: string) {
  node.notDeepStrictEqual(actual, expected, msg);
}

export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  node.strictEqual(actual, expected, msg);
}

export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string) {
  node.notStrictEqual(actual, expected, msg);
}

export function assertObjectMatch(
  actual: Record<PropertyKey, unknown>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
) {
  node.partialDeepStrictEqual(actual, expected, msg);
}

export function assertMatch(actual: string, expected: RegExp, msg?: string) {
  node.match(actual, expected, msg);
}

export function assertNotMatch(actual: string, expected: RegExp, msg?: string) {
  node.doesNotMatch(actual, expected, msg);
}

export function assertStringIncludes(actual: string, expected: string, msg?: string) {
  node.ok(
    actual.includes(expected),
    msg ?? `Expected ${JSON.stringify(actual)} to contain ${JSON.stringify(expected)}`,
  );
}

export function assertGreater<T>(actual: T, expected: T, msg?: string) {
  node.ok(actual > expected, msg ?? `Expected ${actual} > ${expected}`);
}

export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string) {
  node.ok(actual >= expected, msg ?? `Expected ${actual} >= ${expected}`);
}

export function assertLess<T>(actual: T, expected: T, msg?: string) {
  node.ok(actual < expected, msg ?? `Expected ${actual} < ${expected}`);
}

export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string) {
  node.ok(actual <= expected, msg ?? `Expected ${actual} <= ${expected}`);
}

export function assertInstanceOf<T>(
  actual: unknown,
  expected: Class<T>,
  msg?: string,
): asserts actual is T {
  node.ok(actual instanceof expected, msg ?? `Expected an instance of ${expected.name}: ${actual}`);
}

export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: Class<E>,
  msgIncludes?: string,
  msg?: string,
): asserts error is E {
  assertInstanceOf(error, Error, msg);
  if (ErrorClass) assertInstanceOf(error, ErrorClass, msg);
  if (msgIncludes) assertStringIncludes(error.message, msgIncludes, msg);
}

/** The arguments after `fn` of {@linkcode assertThrows} and {@linkcode assertRejects}. */
type Expected<E extends Error> = [msg?: string] | [Class<E>, msgIncludes?: string, msg?: string];

function checkError<E extends Error>(error: unknown, [first, ...rest]: Expected<E>): E {
  if (typeof first === "function") assertIsError(error, first, ...rest);
  return error as E;
}

export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ...expected: Expected<E>
): E {
  try {
    fn();
  } catch (error) {
    return checkError(error, expected);
  }
  node.fail("Expected function to throw.");
}

export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ...expected: Expected<E>
): Promise<E> {
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = fn();
    await promise;
  } catch (error) {
    if (!promise) node.fail("Function throws when expected to reject.");
    return checkError(error, expected);
  }
  node.fail("Expected function to reject.");
}
