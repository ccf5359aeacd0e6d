/**
 * What the program tells its operator.
 *
 * @module
 */

/** Writes one event: a sentence, and the values that belong to it. */
export type Events = (
  level: "info" | "warn" | "error",
  msg: string,
  fields?: Record<string, string | number | boolean>,
) => void;

/** Tells nobody. */
export const silent: Events = () => {};
