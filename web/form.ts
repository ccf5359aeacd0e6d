/**
 * The form that adds a link.
 *
 * @module
 */
import { escapeHTML } from "./page.ts";

/** The form that Go's program shows, filled in with `url` and `key`, below what came of the last. */
export function AddForm(url = "", key = "", result = ""): string {
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>goto</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 12vh auto; padding: 0 1rem }
  form { display: grid; gap: .6rem }
  label { display: grid }
  input, button { font: inherit; padding: .4rem .6rem }
  output { display: block; margin: 1rem 0; font-size: 1.3rem; overflow-wrap: anywhere }
</style>
<h1>goto</h1>
${result}<form method="POST" action="/add">
  <label>URL <input name="url" required autofocus maxlength="8192" value="${
    escapeHTML(url)
  }"></label>
  <label>Key (optional) <input name="key" maxlength="64" pattern="[A-Za-z0-9_\\-]+" value="${
    escapeHTML(key)
  }"></label>
  <button>Add</button>
</form>
</html>
`;
}
