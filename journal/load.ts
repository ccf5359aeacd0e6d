/**
 * Reading a journal's file from its beginning.
 *
 * @module
 */
import { MAX_LINE } from "./feed.ts";
import { type Apply, type Bad, isJSON, NEWLINE, readLines } from "./lines.ts";

const CHUNK = 1 << 20;

/**
 * Gives all whole lines of `file` to `apply`, or to `bad`.
 *
 * @param progress told now and then how many bytes are done
 * @returns where whole lines end, what was torn off behind them, and whether only a newline is missing
 */
export async function loadLines(
  file: Deno.FsFile,
  apply: Apply,
  bad: Bad,
  progress: (done: number) => void = () => {},
): Promise<{ size: number; torn: Uint8Array; unended: boolean }> {
  let buffer = new Uint8Array(CHUNK);
  let size = 0; // up to the buffer's first byte
  let have = 0;
  let lines = 0;
  await file.seek(0, Deno.SeekMode.Start);
  for (let n; (n = await file.read(buffer.subarray(have))) !== null;) {
    const seen = have;
    have += n;
    const end = buffer.subarray(seen, have).lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      const whole = seen + end;
      const before = lines;
      lines += readLines(
        buffer.subarray(0, whole),
        apply,
        (line, reason) => bad(before + line, reason),
      );
      buffer.copyWithin(0, whole, have);
      size += whole;
      have -= whole;
      progress(size);
    } else if (have === buffer.length) {
      if (have >= MAX_LINE) bad(lines + 1, `a line of over ${MAX_LINE} bytes`);
      const larger = new Uint8Array(have * 2);
      larger.set(buffer);
      buffer = larger;
    }
  }
  const torn = buffer.subarray(0, have);
  if (!isJSON(torn)) return { size, torn, unended: false };
  // What is torn can't be parsed, as its "}" is gone.
  readLines(Uint8Array.of(...torn, NEWLINE), apply, (_, reason) => bad(lines + 1, reason));
  return { size: size + have, torn: new Uint8Array(), unended: true };
}
