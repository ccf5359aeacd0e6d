/**
 * Taking over what a feed brings.
 *
 * @module
 */
import type { FeedStream } from "../journal/feed.ts";
import type { Journal } from "../journal/journal.ts";
import { type Apply, readLines, type Tell } from "../journal/lines.ts";
import type { URLStore } from "../store.ts";
import { KnownTrouble, refuseLine } from "./follower.ts";
import { isCompared, refuseFuture } from "./judge.ts";

/**
 * Takes whole lines over, all or none: to the disk, into memory, then to followers, as their owner did.
 *
 * @param stream where they come from
 * @param isHidden whether a link must not be shown yet, since somebody was told of a later one
 * @param onchange told of each key that was changed
 */
export async function replicate(
  { urls, log: journal }: URLStore<Journal>,
  lines: Uint8Array,
  stream: FeedStream,
  isHidden: (key: string) => boolean,
  onchange: (key: string) => void,
): Promise<void> {
  const changes: { key: string; entry: number }[] = [];
  try {
    const add: Apply = (change) => changes.push({ key: change.key, entry: urls.add(change) });
    readLines(lines, add, refuseLine, tellOf(journal));
    await append(journal, lines, stream);
  } catch (error) {
    for (const { entry } of changes) urls.drop(entry);
    throw error;
  }
  for (const { key, entry } of changes) {
    urls.show(entry, isHidden(key));
    onchange(key);
  }
  journal.publish();
}

/** Has a copy take over what lines say of the log itself. */
export function tellOf(copy: Journal): Tell {
  return (line, about) => {
    refuseFuture(about.term);
    copy.tell(line, about);
  };
}

/** Appends to a copy. Of a disk that refuses, the copy itself tells. */
export async function append(
  copy: Journal,
  lines: Uint8Array,
  stream: FeedStream,
): Promise<void> {
  try {
    await copy.copy(lines, isCompared(copy.feed, stream));
  } catch (error) {
    throw copy.failure === undefined ? error : new KnownTrouble(copy.failure);
  }
}
