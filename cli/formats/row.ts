/**
 * A link of a file.
 *
 * @module
 */

/** A link as it stands in a file, or why it can't be taken over. Times are seconds since 1970. */
export interface Row {
  key: string;
  url: string;
  created?: number;
  /** It may be over. */
  expires?: number;
  author?: string;
  editor?: string;
  /** How often it was followed. */
  clicks?: number;
  /** Where it stands; of several lines of ours for one key, the last. */
  line: number;
  /** Why it can't be taken over. */
  reason?: string;
  /** Whether it is one of ours: then it stays as it is, however odd, unless a master makes it anew. */
  own?: boolean;
}
