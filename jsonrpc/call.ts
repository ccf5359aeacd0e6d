/**
 * Serving JSON-RPC, as those who carry its texts see it.
 *
 * @module
 */
import type { Caller, Position } from "../journal/position.ts";

/** What is sent back: a text, unless there were only notifications, and how new it is. */
export interface Reply {
  text?: string;
  position: Position;
}

/**
 * Answers a JSON-RPC text, no older than at `since`; at once where the store does. Who is `trusted` may say
 * when links were created, and who changed them. Work is given up that the `caller` waits for no more.
 */
export type Call = (
  text: string,
  since?: number,
  trusted?: boolean,
  caller?: Caller,
) => Reply | Promise<Reply>;
