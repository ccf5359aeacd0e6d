/**
 * The figures as people read them.
 *
 * @module
 */
import { spread, table } from "./figure.ts";
import type { Huge } from "./huge.ts";
import type { Load } from "./loads.ts";
import type { Row } from "./rates.ts";
import type { Start } from "./starts.ts";
import type { Group } from "./svg.ts";
import type { Machine } from "./tools.ts";
import type { Work } from "./wrk.ts";

/** All that was measured. */
export interface Figures {
  date: string;
  machine: Machine;
  /** Of this version, such as `0.1.0`. */
  goto: string;
  rounds: number;
  seconds: number;
  starts: Start[];
  loads: Load[];
  rows: Row[];
  huge?: Huge;
}

/** All figures as tables in Markdown. */
export function report({ date, machine, rounds, seconds, starts, loads, rows, huge }: Figures) {
  const { cpu, cores, gigabytes, os, deno } = machine;
  const parts = [
    `${date}, ${cpu}, ${cores} cores, ${gigabytes} GB, ${os}, Deno ${deno}; ${rounds} rounds of ${seconds} s: median (middle half)\n`,
  ];
  for (const work of new Set(rows.map(({ work }) => work))) {
    parts.push(table(
      [titleOf(work), "requests/s", "of bare", "of Go", "CPU µs", "of bare", "of Go", "p99 ms"],
      rows.filter((row) => row.work === work).map((row) => [
        row.name,
        spread(row.rate, 0),
        spread(row.rateOfBare, 2),
        spread(row.rateOfGo, 2),
        spread(row.cpu, 1),
        spread(row.cpuOfBare, 2),
        spread(row.cpuOfGo, 2),
        spread(row.p99, 1),
      ]),
    ));
  }
  for (const links of new Set(loads.map(({ links }) => links))) {
    parts.push(table(
      [
        `loading ${count(links)} links`,
        "seconds",
        "of Go",
        "MB",
        "of Go",
        "MB, all asked",
        "of Go",
      ],
      loads.filter((load) => load.links === links).map((load) => [
        load.name,
        spread(load.seconds, 2),
        spread(load.secondsOfGo, 2),
        spread(load.loaded, 0),
        spread(load.loadedOfGo, 2),
        spread(load.asked, 0),
        spread(load.askedOfGo, 2),
      ]),
    ));
  }
  parts.push(table(
    ["starting with 1,000 links, to the first redirect", "ms"],
    starts.map(({ name, milliseconds }) => [name, spread(milliseconds, 0)]),
  ));
  if (huge) parts.push(hugeTable(huge));
  return parts.join("\n");
}

function hugeTable(huge: Huge): string {
  return table(["huge", ""], [
    ["links", count(huge.links)],
    ["file, MB", count(huge.fileMegabytes)],
    ["loaded in, s", huge.seconds.toFixed(1)],
    ["memory, MB", count(huge.loaded)],
    ["memory at most, MB", count(huge.most)],
    ["memory at the end, MB", count(huge.grown)],
    ["redirects at random/s", count(huge.redirects)],
    ["new links", count(huge.added)],
    ["new links/s", count(huge.newLinks)],
    ["longest redirect, idle, ms", huge.longestIdle.toFixed(1)],
    ["longest redirect while it grows, ms", huge.longestGrowing.toFixed(1)],
  ]);
}

/** All rates as bars. */
export function bars(rows: Row[]): Group[] {
  return [...new Set(rows.map(({ work }) => work))].map((work) => {
    const own = rows.filter((row) => row.work === work);
    return {
      title: titleOf(work),
      ceiling: own.find(({ program }) => program === "bare")?.rate?.median,
      bars: own.map(({ name, program, rate, rateOfBare }) => ({
        label: name,
        value: rate?.median ?? 0,
        text: `${Math.round((rate?.median ?? 0) / 1000)}k  (${rateOfBare?.median.toFixed(2)})`,
        ours: program === "ours",
      })),
    };
  });
}

function titleOf({ kind, links, connections }: Work): string {
  switch (kind) {
    case "one":
      return `redirects, one of ${count(links)} links`;
    case "new":
      return `new links, ${connections} connections`;
    default:
      return `redirects, any of ${count(links)} links`;
  }
}

function count(value: number | undefined): string {
  return value === undefined ? "" : Math.round(value).toLocaleString("en-US");
}
