// What the pages can do only with JavaScript: copy a link, and search as one types.

/** Shows the buttons that copy, and lets them. */
function offerCopies(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard && !document.execCommand) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const copied = await copy(button.dataset.copy);
      const label = copied ? "Copied" : "Press Ctrl+C";
      const before = button.textContent;
      button.textContent = label;
      button.parentElement.querySelector("output").textContent = label;
      if (!copied) select(button.parentElement.querySelector("a"));
      setTimeout(() => button.textContent = before, 2000);
    });
  }
}

/** Copies a text; over plain http browsers have no clipboard for pages, only a command. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("readonly", "");
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

const PAUSE_MS = 150; // in typing, until it is searched

/** Searches as one types: the server makes the page, of which the results take the place of these. */
function searchAsTyped(form) {
  const input = form.elements.namedItem("q");
  let timer;
  let current;
  const search = async () => {
    current?.abort();
    const { signal } = current = new AbortController();
    const params = new URLSearchParams(new FormData(form));
    params.set("q", input.value.trim());
    if (params.get("q") === "") params.delete("q");
    const path = `${form.action}${params.size > 0 ? `?${params}` : ""}`;
    try {
      const response = await fetch(path, { headers: { accept: "text/html" }, signal });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const results = page.getElementById("results");
      if (signal.aborted) return;
      if (!results) throw new Error(`status ${response.status}`);
      document.getElementById("results").replaceWith(results);
      document.getElementById("found").textContent = page.getElementById("found").textContent;
      history.replaceState(null, "", path);
    } catch (error) {
      if (error.name !== "AbortError") {
        document.getElementById("found").textContent =
          `This can't be searched just now (${error.message}).`;
      }
    }
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE_MS);
  });
}

offerCopies(document);
for (const form of document.querySelectorAll("form.search")) searchAsTyped(form);
