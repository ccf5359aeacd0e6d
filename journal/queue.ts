/**
 * Changes that wait for the log.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import type { Link } from "../links/link.ts";
import type { Wanted } from "../links/wanted.ts";
import type { Save } from "./batch.ts";

const MAX_QUEUE = 65_536; // changes
const MAX_QUEUE_CHARS = 64 << 20; // of their URLs
const MAX_COMMIT = 1024; // changes: more would keep redirects waiting for tens of milliseconds
const MAX_REST = 512; // bytes of a line beside its key and its URL

const errBusy = new StoreError("unavailable", "too many changes are waiting for the disk");

/** The changes that the next commits will take, in their order. */
export class SaveQueue {
  #saves: Save[] = [];
  #chars = 0;

  get length(): number {
    return this.#saves.length;
  }

  /**
   * Queues a change; resolves once it is durable and visible.
   *
   * @throws {StoreError} unavailable: too many wait already
   */
  push(wanted: Wanted): Promise<Link> {
    if (this.length >= MAX_QUEUE || this.#chars >= MAX_QUEUE_CHARS) throw errBusy;
    const { promise, resolve, reject } = Promise.withResolvers<Link>();
    this.#saves.push({ wanted, resolve, reject });
    this.#chars += wanted.url.length;
    return promise;
  }

  /** Takes what one commit can hold, of so many bytes of lines. */
  take(maxBytes: number): Save[] {
    let [count, bytes] = [0, 0];
    for (; count < Math.min(this.length, MAX_COMMIT); count++) {
      const { key = "", url } = this.#saves[count].wanted;
      bytes += 3 * (key.length + url.length) + MAX_REST; // in UTF-8, at most
      if (count > 0 && bytes > maxBytes) break;
      this.#chars -= url.length;
    }
    return this.#saves.splice(0, count);
  }
}
