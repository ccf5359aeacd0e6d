/**
 * The programs whose files are known.
 *
 * @module
 */
import { bitly } from "./programs/bitly.ts";
import { chhoto } from "./programs/chhoto.ts";
import { dub } from "./programs/dub.ts";
import { goto } from "./programs/goto.ts";
import { golink } from "./programs/golink.ts";
import { kutt } from "./programs/kutt.ts";
import { shlink } from "./programs/shlink.ts";
import { yourls, yourlsImportExport } from "./programs/yourls.ts";

/** A program, by what it calls the columns or members of a link; see {@linkcode plain}. */
export interface Program {
  /** Those by which its files are known: of each group it has one. */
  signs: string[][];
  /** Those that have the key: the first that is there counts. */
  keys: string[];
  /** Those that have more keys of the same link. */
  more?: string[];
  /** Whether `{path}` and the like are places in its URLs, as they are here. */
  hasPlaces?: boolean;
  /**
   * What a key is, of what stands in the file.
   *
   * @throws {Unfit} it can't be one here
   */
  toKey?(text: string): string;
  /**
   * What a URL is, of what stands in the file.
   *
   * @throws {Unfit} it can't be the same here
   */
  toURL?(text: string): string;
}

/** The more particular come first. */
export const PROGRAMS: Program[] = [
  goto,
  golink,
  shlink,
  kutt,
  chhoto,
  dub,
  bitly,
  yourls,
  yourlsImportExport,
];

/**
 * The name of a column or member, whatever its case and its separators.
 *
 * @example
 * ```ts
 * plain("Long URL") === plain("long_url"); // true
 * ```
 */
export function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}
