/**
 * What a replica has of the links.
 *
 * @module
 */
import type { Link } from "./link.ts";

/**
 * Links as a feed brought them, up to a position of the journal, and what somebody was told beyond it.
 * The feed may be late, or lost: `get` gives only what is as new as it must be.
 */
export interface Copy {
  /** How far the feed has come. */
  readonly position: number;
  /** The furthest position that anybody was told of. */
  readonly told: number;
  /** Whether the feed is being followed. */
  readonly live: boolean;
  /** Whether it has all links. */
  readonly whole: boolean;
  /** Called when a change of a key comes, or, without one, when anything may have been changed. */
  onchange: (key?: string) => void;
  get(key: string): string | undefined;
  /** When the link was created that `get` found last, or 0 where that isn't known. */
  readonly created: number;
  /** What there is, in want of anything better; also what is over, or deleted. */
  peek(key: string): Link | undefined;
  /** Whether the link that is here has expired. */
  isExpired(key: string): boolean;
  /** The position up to which somebody was told of `key`, if that is ahead of the feed; else 0. */
  toldOf(key: string): number;
  /** Notes that somebody is told of `key` up to `position`: nothing older must be shown from now on. */
  tell(key: string, position: number): void;
  /** Keeps a link, which is that at `position`. */
  keep(link: Link, position: number): void;
}
