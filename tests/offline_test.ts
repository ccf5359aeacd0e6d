import * as std from "@std/assert";
import { it } from "@std/testing/bdd";

const failing: Record<string, () => unknown> = {
  assert: () => std.assert(0),
  assertFalse: () => std.assertFalse(1),
  assertExists: () => std.assertExists(null),
  assertEquals: () => std.assertEquals({ a: [1] }, { a: [2] }),
  assertNotEquals: () => std.assertNotEquals({ a: [1] }, { a: [1] }),
  assertStrictEquals: () => std.assertStrictEquals<unknown>({}, {}),
  assertNotStrictEquals: () => std.assertNotStrictEquals("a", "a"),
  assertObjectMatch: () => std.assertObjectMatch({ a: 1, b: 2 }, { b: 3 }),
  assertMatch: () => std.assertMatch("a", /b/),
  assertNotMatch: () => std.assertNotMatch("a", /a/),
  assertStringIncludes: () => std.assertStringIncludes("a", "b"),
  assertGreater: () => std.assertGreater(1, 1),
  assertGreaterOrEqual: () => std.assertGreaterOrEqual(1, 2),
  assertLess: () => std.assertLess(1, 1),
  assertLessOrEqual: () => std.assertLessOrEqual(2, 1),
  assertInstanceOf: () => std.assertInstanceOf({}, Date),
  assertIsError: () => std.assertIsError(new Error("a"), Error, "b"),
  "assertThrows without an error": () => std.assertThrows(() => {}),
  "assertThrows with another class": () =>
    std.assertThrows(() => {
      throw new Error("a");
    }, TypeError),
  "assertThrows with another message": () =>
    std.assertThrows(
      () => {
        throw new Error("a");
      },
      Error,
      "b",
    ),
  "assertRejects without an error": () => std.assertRejects(() => Promise.resolve()),
  "assertRejects with another class": () =>
    std.assertRejects(() => Promise.reject(new Error("a")), TypeError),
  "assertRejects with another message": () =>
    std.assertRejects(() => Promise.reject(new Error("a")), Error, "b"),
  "assertRejects of a function that throws": () =>
    std.assertRejects(() => {
      throw new Error("a");
    }),
  fail: () => std.fail("a"),
  unreachable: () => std.unreachable(),
};

// Of the adapters first of all; where JSR is reached, that @std/assert agrees.
it("every assertion that the tests use fails when it should", async () => {
  const silent: string[] = [];
  for (const [name, fn] of Object.entries(failing)) {
    try {
      await fn();
    } catch (error) {
      if (error instanceof std.AssertionError) continue;
    }
    silent.push(name);
  }
  std.assertEquals(silent, []);
});
