/**
 * What follows the name of a task.
 *
 * @module
 */
import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;

/**
 * The values of the options that `deno task NAME` takes. On anything else it says what that is, and ends
 * with code 2. Where the default is a number, the value must be one.
 *
 * @example
 * ```ts
 * const { rounds } = takeArgs("crash", { rounds: { type: "string", default: "200" } });
 * ```
 */
export function takeArgs<const T extends Options>(
  name: string,
  options: T,
  given: string[] = Deno.args,
): ReturnType<typeof parseArgs<{ options: T }>>["values"] {
  const args = given.filter((arg) => arg !== "--"); // `deno task` passes it on
  try {
    const { values } = parseArgs({ args, options });
    for (const [option, { default: standard }] of Object.entries(options)) {
      const value = Object.entries(values).find(([name]) => name === option)?.[1];
      if (isNumber(standard) && Number.isNaN(Number(value))) {
        throw new Error(`--${option} is no number`);
      }
    }
    return values;
  } catch (error) {
    const taken = Object.entries(options).map(([option, { type, default: standard }]) => {
      return type === "boolean" ? `--${option}` : `--${option}=${String(standard ?? "") || "..."}`;
    });
    refuse(name, error, taken.join(" "));
  }
}

function isNumber(text: unknown): boolean {
  return typeof text === "string" && text !== "" && !Number.isNaN(Number(text));
}

/** Says what a task takes, and ends with code 2. */
export function refuse(name: string, error: unknown, taken: string): never {
  const reason = error instanceof Error ? error.message.split(". ")[0] : String(error);
  console.error(`${name}: ${reason}; deno task ${name} takes ${taken || "nothing"}`);
  Deno.exit(2);
}
