/**
 * Writers that keep a master busy, and remember what it acknowledged.
 *
 * @module
 */
import assert from "node:assert/strict";
import { breathe, follow } from "./processes.ts";

/** Writers, each with links of its own, which they add, change and delete until they are stopped. */
export class Load {
  /** How many changes were acknowledged. */
  acknowledged = 0;
  /** The longest time that one took, in milliseconds. */
  slowest = 0;
  // What each key may lead to: one URL, or two while a change of it is under way. "" is deleted.
  readonly #links = new Map<string, string[]>();
  readonly #writing: Promise<void>[];
  #stopped = false;

  constructor(private readonly url: string, writers = 8) {
    const name = crypto.randomUUID().slice(0, 8);
    this.#writing = Array.from({ length: writers }, (_, i) => this.#write(`${name}-${i}`));
    for (const writing of this.#writing) writing.catch(() => {}); // stop() tells
  }

  /** Resolves once the writers have stopped, or have lost the master. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#writing);
  }

  /** Looks whether every link at `url` is as it was acknowledged last. */
  async check(url = this.url): Promise<void> {
    for (const [key, allowed] of this.#links) {
      const { status, location } = await follow(url, key);
      const found = status === 302 ? location! : status === 404 ? "" : `status ${status}`;
      assert(allowed.includes(found), `${key}: ${found}, not ${allowed.join(" or ")}`);
    }
  }

  async #write(name: string): Promise<void> {
    for (let n = 0; !this.#stopped; n++) {
      const key = `${name}-${n % 20}`;
      const [before] = this.#links.get(key) ?? [""];
      const target = before !== "" && n % 7 === 0 ? "" : `https://example.com/${name}/${n}`;
      this.#links.set(key, [before, target]);
      const began = performance.now();
      const [method, path, body] = before === ""
        ? ["POST", "", { key, url: target }]
        : target === ""
        ? ["DELETE", `/${key}`, undefined]
        : ["PUT", `/${key}`, { url: target }];
      let response;
      try {
        response = await fetch(`${this.url}/api/links${path}`, {
          method,
          headers: { "content-type": "application/json" },
          body: body && JSON.stringify(body),
          signal: AbortSignal.timeout(30_000),
        });
        const text = await response.text();
        assert(response.ok, `${response.status} ${text}`);
      } catch (error) {
        if (response !== undefined && error instanceof assert.AssertionError) throw error;
        return; // the master is gone: nobody knows whether it was done
      }
      this.#links.set(key, [target]);
      this.acknowledged++;
      this.slowest = Math.max(this.slowest, performance.now() - began);
      await breathe();
    }
  }
}
