/**
 * Which links hold what is searched.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { StoreError } from "./errors.ts";
import type { Link } from "./link.ts";
import { fold, isASCII, oddOnes, variantsOf } from "./fold.ts";
import { decodeAll } from "./readable.ts";
import { trim } from "./text.ts";

const MAX_QUERY = 200; // characters

/** A word that is looked for. */
interface Word {
  /** As {@linkcode fold} has it. */
  text: string;
  isASCII: boolean;
  /** Finds it in whatever form it may have in the bytes of a link. */
  forms: RegExp;
}

/**
 * Finds the links that hold all words of a text, each in the key, in the URL as it is or as people read it, or in
 * the name of who created the link or changed it last, whatever the case.
 *
 * @example
 * ```ts
 * const matcher = new Matcher("Москва map");
 * matcher.matches({ key: "map", url: "https://example.com/%D0%BC%D0%BE%D1%81%D0%BA%D0%B2%D0%B0" }); // true
 * ```
 */
export class Matcher {
  readonly #words: Word[];

  /** @throws {StoreError} invalid query: the text is too long */
  constructor(q: string) {
    if (q.length > MAX_QUERY) {
      throw new StoreError("invalid query", `"q" must have at most ${MAX_QUERY} characters`);
    }
    const words = trim(q).split(/\s+/).filter(Boolean).map((word) => fold(decode(word)));
    this.#words = [...new Set(words)].map((text) => {
      return { text, isASCII: isASCII(text), forms: formsOf(text) };
    });
  }

  /** Whether every link matches. */
  get matchesAll(): boolean {
    return this.#words.length === 0;
  }

  matches({ key, url, author = "", editor = "" }: Link): boolean {
    if (this.matchesAll) return true;
    const texts = [key, url, author, editor].map(fold);
    let read: string | undefined; // most need none
    return this.#words.every(({ text }) =>
      texts.some((one) => one.includes(text)) ||
      (read ??= fold(decodeAll(url))).includes(text)
    );
  }

  /**
   * Whether some of many links may match, by all their bytes, which are read as Latin-1 and in lower case. Where
   * none can, that saves a look at each of them.
   */
  mayMatchIn(bytes: string): boolean {
    return this.#words.every(({ text, isASCII, forms }) =>
      isASCII && bytes.includes(text) || forms.test(bytes) || bytes.includes("xn--")
    );
  }
}

/** What somebody has copied out of a URL, as it is meant. */
function decode(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

/** A regular expression without quantifiers but "?": each character in all its forms. */
function formsOf(text: string): RegExp {
  const chars = Array.from(text);
  const forms = chars.map(variantsOf);
  const mayLack = new Set<number>(); // where the character before may stand for this one, too
  for (const [char, folded] of oddOnes()) {
    // It may begin before the word, and end behind it.
    for (let at = 1 - folded.length; at < chars.length; at++) {
      const isThere = folded.every((one, i) => (chars[at + i] ?? one) === one);
      if (!isThere) continue;
      const first = Math.max(at, 0);
      forms[first].push(char);
      for (let i = first + 1; i < at + folded.length; i++) mayLack.add(i);
    }
  }
  return new RegExp(
    forms.map((all, i) => anyOf(all.flatMap(bytesOf)) + (mayLack.has(i) ? "?" : "")).join(""),
  );
}

function anyOf(forms: string[]): string {
  return `(?:${[...new Set(forms)].map((form) => RegExp.escape(form)).join("|")})`;
}

/** How a text may stand in bytes that are read as Latin-1, and in lower case. */
function bytesOf(text: string): string[] {
  const bytes = Buffer.from(text);
  const encoded = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`);
  const asIs = Array.from(
    bytes,
    (byte, i) => byte < 0x80 ? String.fromCharCode(byte) : encoded[i],
  );
  const raw = /[^\0-\xff]/.test(text) ? [] : [text];
  return [...raw, bytes.toString("latin1"), encoded.join(""), asIs.join("")].map((form) =>
    form.toLowerCase()
  );
}
