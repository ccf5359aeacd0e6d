/**
 * A real browser: headless Chromium, through chromedriver and plain `fetch` (W3C WebDriver). Where
 * there is none, tests are ignored.
 *
 * @module
 */
import { eventually, within } from "./processes.ts";
import { freePort } from "./replicas.ts";
import { tool } from "./tools.ts";

/** Where browsers are found: on Debian, on Ubuntu, on macOS. */
const CHROMES = ["chromium", "chromium-browser", "google-chrome"];
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf"; // what WebDriver calls a reference to one

async function find(names: string[]): Promise<string | undefined> {
  for (const name of names) {
    const found = await tool("sh", "-c", `command -v ${name}`).catch(() => undefined);
    if (found?.success) return found.stdout.trim();
  }
}

const chrome = await find(CHROMES);
const driver = await find(["chromedriver"]);

/** Why there is no browser to test with; nothing, if there is one. */
export const noBrowser: string | undefined = driver === undefined
  ? "there is no chromedriver"
  : chrome === undefined
  ? "there is no Chromium"
  : undefined;

/** How a browser is: a phone, in the dark, without JavaScript. */
export interface Look {
  width?: number;
  height?: number;
  dark?: boolean;
  script?: boolean;
  /** How names are resolved, as Chromium's `--host-resolver-rules` has it. */
  hosts?: string;
}

/** An element of a page, as WebDriver names it. */
export type Element = { [ELEMENT]: string };

/** A browser with one window. Disposing of it ends it. */
export class Browser implements AsyncDisposable {
  #session = "";

  private constructor(private readonly process: Deno.ChildProcess, private readonly port: number) {}

  /** Starts chromedriver, and by it Chromium. */
  static async open(look: Look = {}): Promise<Browser> {
    const port = freePort();
    const process = new Deno.Command(driver!, {
      args: [`--port=${port}`],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const browser = new Browser(process, port);
    try {
      await browser.#begin(look);
      return browser;
    } catch (error) {
      await browser[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #begin(look: Look): Promise<void> {
    const { hosts } = look;
    await eventually(async () => (await this.#send("GET", "/status")).ready === true, 30_000);
    const { sessionId } = await this.#send("POST", "/session", {
      capabilities: {
        alwaysMatch: {
          "goog:chromeOptions": {
            binary: chrome,
            args: [
              "--headless=new",
              "--no-sandbox", // root can't have one
              "--disable-dev-shm-usage",
              "--disable-gpu",
              "--hide-scrollbars",
              // What a browser does beside showing pages.
              "--disable-background-networking",
              "--disable-component-update",
              "--disable-default-apps",
              "--disable-extensions",
              "--disable-sync",
              "--no-first-run",
              "--lang=en-US",
              "--window-size=1100,900",
              ...(hosts ? [`--host-resolver-rules=${hosts}`] : []),
            ],
          },
          "goog:loggingPrefs": { browser: "ALL" },
        },
      },
    });
    this.#session = `/session/${sessionId}`;
    await this.#send("POST", `${this.#session}/timeouts`, {
      implicit: 0,
      pageLoad: 30_000,
      script: 30_000,
    });
    await this.appear(look);
  }

  /** Shows an empty page, as another screen would, and forgets what was complained of. */
  async appear(look: Look = {}): Promise<void> {
    const { width = 1100, height = 900, dark = false, script = true } = look;
    await this.go("about:blank");
    await this.complaints();
    await this.#command("POST", "/goog/cdp/execute", {
      cmd: "Emulation.setScriptExecutionDisabled",
      params: { value: !script },
    });
    await this.#command("POST", "/goog/cdp/execute", {
      cmd: "Emulation.setDeviceMetricsOverride",
      params: { width, height, deviceScaleFactor: 1, mobile: width < 500 },
    });
    await this.#command("POST", "/goog/cdp/execute", {
      cmd: "Emulation.setEmulatedMedia",
      params: { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] },
    });
  }

  async go(url: string): Promise<void> {
    await this.#command("POST", "/url", { url });
  }

  async refresh(): Promise<void> {
    await this.#command("POST", "/refresh", {});
  }

  url(): Promise<string> {
    return this.#command("GET", "/url");
  }

  title(): Promise<string> {
    return this.#command("GET", "/title");
  }

  /** Runs the body of a function in the page. A promise that it gives is waited for. */
  run<T>(script: string, ...args: unknown[]): Promise<T> {
    return this.#command("POST", "/execute/sync", { script, args });
  }

  /** The element that a CSS selector finds, once it is there. */
  find(selector: string): Promise<Element> {
    return eventually(() =>
      this.#command<Element>("POST", "/element", { using: "css selector", value: selector })
    );
  }

  async click(selector: string): Promise<void> {
    await this.#element("POST", selector, "click", {});
  }

  /** Types into a field, in place of what is there. */
  async type(selector: string, text: string): Promise<void> {
    await this.#element("POST", selector, "clear", {});
    if (text !== "") await this.#element("POST", selector, "value", { text });
  }

  /** The text of an element, as it is seen. */
  text(selector: string): Promise<string> {
    return this.#element("GET", selector, "text");
  }

  property(selector: string, name: string): Promise<unknown> {
    return this.#element("GET", selector, `property/${name}`);
  }

  /** Whether an element is there, and seen. */
  async shows(selector: string): Promise<boolean> {
    try {
      const value = { using: "css selector", value: selector };
      const { [ELEMENT]: id } = await this.#command<Element>("POST", "/element", value);
      return await this.#command("GET", `/element/${id}/displayed`);
    } catch {
      return false;
    }
  }

  /** Presses keys, one after the other. */
  async press(...keys: string[]): Promise<void> {
    const actions = keys.flatMap((value) => [
      { type: "keyDown", value },
      { type: "keyUp", value },
    ]);
    await this.#command("POST", "/actions", { actions: [{ type: "key", id: "keys", actions }] });
  }

  /** Pastes what is in the clipboard. */
  async paste(): Promise<void> {
    const control = "\ue009";
    await this.#command("POST", "/actions", {
      actions: [{
        type: "key",
        id: "keys",
        actions: [
          { type: "keyDown", value: control },
          { type: "keyDown", value: "v" },
          { type: "keyUp", value: "v" },
          { type: "keyUp", value: control },
        ],
      }],
    });
  }

  /** What the browser complained of since the last time. */
  async complaints(): Promise<string[]> {
    const entries = await this.#command<{ level: string; message: string }[]>("POST", "/se/log", {
      type: "browser",
    });
    return entries.filter(({ level }) => level === "SEVERE").map(({ message }) => message);
  }

  /** Lets pages write to the clipboard, and read it, where they may at all. */
  async allowClipboard(origin: string): Promise<void> {
    await this.#command("POST", "/goog/cdp/execute", {
      cmd: "Browser.grantPermissions",
      params: { origin, permissions: ["clipboardReadWrite", "clipboardSanitizedWrite"] },
    });
  }

  /** A picture of the page, as PNG. */
  async picture(): Promise<Uint8Array<ArrayBuffer>> {
    const base64 = await this.#command<string>("GET", "/screenshot");
    return Uint8Array.fromBase64(base64);
  }

  async [Symbol.asyncDispose]() {
    if (this.#session) await this.#send("DELETE", this.#session).catch(() => {});
    try {
      this.process.kill("SIGTERM");
    } catch {
      // It has ended already.
    }
    await this.process.status;
  }

  /** A page may be taken away between the look and the touch: then it is the next one's element. */
  #element<T>(method: string, selector: string, what: string, body?: unknown): Promise<T> {
    return eventually(async () => {
      const { [ELEMENT]: id } = await this.find(selector);
      return await this.#command<T>(method, `/element/${id}/${what}`, body);
    });
  }

  #command<T>(method: string, path: string, body?: unknown): Promise<T> {
    return this.#send(method, `${this.#session}${path}`, body);
  }

  // deno-lint-ignore no-explicit-any -- each command has an answer of its own
  async #send(method: string, path: string, body?: unknown): Promise<any> {
    const response = await within(
      60_000,
      `${method} ${path}`,
      fetch(`http://127.0.0.1:${this.port}${path}`, {
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    );
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }
}
