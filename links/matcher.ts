/**
 * Which links hold what is searched.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { StoreError } from "./errors.ts";
import type { Link } from "./link.ts";
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
    return this.#words.every(({ text, isASCII, forms }) => {
      if (isASCII) return bytes.includes(text) || bytes.includes("%") && forms.test(bytes);
      return forms.test(bytes) || bytes.includes("xn--");
    });
  }
}

/** A text in which case, and how letters are composed, make no difference. */
function fold(text: string): string {
  if (isASCII(text)) return text.toLowerCase();
  return text.normalize("NFC").toLowerCase().replaceAll("ς", "σ");
}

function isASCII(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

/** What somebody has copied out of a URL, as it is meant. */
function decode(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

/** A regular expression without quantifiers: each character in all its forms. */
function formsOf(text: string): RegExp {
  const each = Array.from(text, (char) => {
    const forms = variantsOf(char).flatMap((variant) => {
      const bytes = Buffer.from(variant);
      const encoded = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`);
      const asIs = Array.from(
        bytes,
        (byte, i) => byte < 0x80 ? String.fromCharCode(byte) : encoded[i],
      );
      return [variant, bytes.toString("latin1"), encoded.join(""), asIs.join("")];
    });
    const all = new Set(forms.map((form) => form.toLowerCase()));
    return `(?:${[...all].map((form) => RegExp.escape(form)).join("|")})`;
  });
  return new RegExp(each.join(""));
}

/** A folded character, and those that become it. */
function variantsOf(char: string): string[] {
  if (isASCII(char)) return [char];
  const capital = char.toUpperCase();
  const cases = [char, capital, capital.toLowerCase(), ...(char === "σ" ? ["ς"] : [])]
    .filter((one) => one.length === char.length);
  return cases.flatMap((one) => [one, one.normalize("NFD")]);
}
