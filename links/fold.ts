/**
 * Texts in which case makes no difference, nor how letters are composed.
 *
 * @module
 */

/** What is one in capitals only: `İ` is `i` with a dot, which a small one has anyway. */
const DOTTED = "i\u0307";

/** Where characters stand that become others in another way than from a capital to a small one. */
const ODD: [from: number, to: number][] = [
  [0x00df, 0x0587], // ß, İ, ſ, ŉ, ǅ, those of Greek and Armenian
  [0x1e96, 0x1fff], // ẞ, Greek with several marks
  [0x2126, 0x212b], // signs that are letters
  [0xfb00, 0xfb17], // ligatures
];

/**
 * A text as it is compared.
 *
 * @example
 * ```ts
 * fold("STRASSE") === fold("Straße"); // true
 * fold("ΟΔΌΣ") === fold("οδός"); // true
 * ```
 */
export function fold(text: string): string {
  if (isASCII(text)) return text.toLowerCase();
  // Some are alike in capitals only (ß and SS), some only as small letters (ẞ and ß).
  const small = text.normalize("NFC").toLowerCase().toUpperCase().toLowerCase().normalize("NFC");
  return small.replaceAll("ς", "σ").replaceAll(DOTTED, "i");
}

export function isASCII(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

/** A folded character, and those that become it, in all ways to write them, but for {@linkcode oddOnes}. */
export function variantsOf(char: string): string[] {
  if (isASCII(char)) return [char];
  const capital = char.toUpperCase();
  const cases = [char, capital, capital.toLowerCase(), ...(char === "σ" ? ["ς"] : [])]
    .filter((one) => one.length === char.length);
  return cases.flatMap((one) => {
    const [base, ...marks] = one.normalize("NFD");
    if (marks.length < 2) return [one, base + marks.join("")];
    return [one, ...ordersOf(marks).flatMap((order) => spellings(base, order))];
  });
}

let odd: [char: string, folded: string[]][] | undefined; // made when it is needed first

/** Each character that becomes something else than its small letter, and what it becomes: `ß` is `ss`. */
export function oddOnes(): [char: string, folded: string[]][] {
  if (odd !== undefined) return odd;
  odd = [[DOTTED, ["i"]]];
  for (const [from, to] of ODD) {
    for (let code = from; code <= to; code++) {
      const char = String.fromCharCode(code);
      const folded = fold(char);
      if (folded !== char && !variantsOf(folded).includes(char)) odd.push([char, [...folded]]);
    }
  }
  return odd;
}

/** Marks may stand in any order, if they stand at different places. */
function ordersOf(marks: string[]): string[][] {
  if (marks.length < 2) return [marks];
  return marks.flatMap((mark, i) =>
    ordersOf(marks.toSpliced(i, 1)).map((others) => [mark, ...others])
  );
}

/** A letter with its marks, of which the first ones may be a part of it. */
function spellings(base: string, marks: string[]): string[] {
  return Array.from({ length: marks.length + 1 }, (_, composed) => {
    return (base + marks.slice(0, composed).join("")).normalize("NFC") +
      marks.slice(composed).join("");
  });
}
