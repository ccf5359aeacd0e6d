/** How often a link was followed, as pages show it. */
import { assertEquals, assertFalse, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { chart } from "../web/chart.ts";
import { factRows, factWords } from "../web/facts.ts";

const TODAY = 20782; // 2026-11-25

/** The bars of a chart: where each begins, by percent, how high it is, and what it says. */
function bars(html: string) {
  const pattern =
    /<rect x="([\d.]+)%" y="(\d+)" width="0\.89%" height="(\d+)" rx="1"><title>(.*?)</g;
  return [...html.matchAll(pattern)].map(([, x, y, height, title]) => {
    assertEquals(Number(y) + Number(height), 140, "all stand on one line");
    return { x: Number(x), height: Number(height), title };
  });
}

it("a chart has a bar for each day with hits, the last 90 of which it shows", () => {
  const html = chart([
    [TODAY - 90, 7],
    [TODAY - 89, 1],
    [TODAY - 1, 1000],
    [TODAY, 500],
    [TODAY + 1, 9],
  ], TODAY);
  assertEquals(bars(html), [
    { x: 0.11, height: 2, title: "2026-08-28: 1 hit" },
    { x: 97.89, height: 120, title: "2026-11-24: 1,000 hits" },
    { x: 99, height: 60, title: "2026-11-25: 500 hits" },
  ]);
  const words = "1,501 hits in 90 days, the most on 2026-11-24: 1,000";
  assertMatch(html, new RegExp(`<figcaption>${words}</figcaption>`));
  assertMatch(html, new RegExp(`<svg role="img" aria-label="${words}"`));
});

it("a chart of a link that was not followed is none", () => {
  assertEquals(chart([], TODAY), "");
  assertEquals(chart([[TODAY - 90, 3]], TODAY), "");
});

it("a chart reaches to a round number, and bars as high as their hits", () => {
  const tops: [most: number, top: string][] = [
    [1, "2"],
    [2, "2"],
    [3, "4"],
    [9, "10"],
    [10, "10"],
    [11, "12"],
    [99, "100"],
    [100, "100"],
    [101, "120"],
    [2000, "2,000"],
    [2001, "2,200"],
    [2 ** 40, "1,200,000,000,000"],
  ];
  for (const [most, top] of tops) {
    const html = chart([[TODAY, most]], TODAY);
    assertMatch(html, new RegExp(`<text x="0" y="14">${top}</text>`));
    const height = Math.round(120 * most / Number(top.replaceAll(",", "")));
    assertEquals(bars(html)[0].height, height, `${most}`);
  }
});

it("a chart names the months that begin in it, and none where it says today", () => {
  const months = (today: number) =>
    [...chart([[today, 1]], today).matchAll(/<text x="([\d.]+)%" [^>]*>(\w+)</g)]
      .map(([, x, text]) => `${text} ${x}`);
  assertEquals(months(TODAY), ["Sep 4.44", "Oct 37.78", "Nov 72.22", "today 100"]);
  assertEquals(months(20789), ["Oct 30.00", "Nov 64.44", "today 100"]); // 2026-12-02
});

it("a chart has neither style nor script, which the policy of pages would refuse", () => {
  assertFalse(/style|script|on\w+=|href/i.test(chart([[TODAY, 1]], TODAY)));
});

it("what is known of a link tells how often it was followed, where that is counted", () => {
  const link = { key: "docs", url: "https://example.com/" };
  const rows = (hits: number, previews: number, last?: number) =>
    factRows(link, { hits, previews, last, days: [] }).replace(/<[^>]*>/g, " ").trim()
      .split(/\s*\n\s*/);
  assertEquals(factRows(link), "");
  assertEquals(rows(0, 0), ["Followed  not yet"]);
  assertEquals(rows(1, 1, TODAY), [
    "Followed  once, the last time on  2026-11-25",
    "Previewed  once",
  ]);
  assertEquals(rows(1234, 2000, TODAY)[1], "Previewed  2,000 times");
  assertEquals(factWords({ ...link, hits: 1 }), '<span class="facts">1 hit</span>');
  assertEquals(factWords({ ...link, hits: 0 }), '<span class="facts">0 hits</span>');
  assertEquals(factWords(link), "");
});
