/**
 * The benchmark: redirects, new links, loading and starting, beside a bare server of the same
 * runtime, the Go program, nginx, and another version of this program. All take turns over several
 * rounds, so that whatever else the machine does meets all of them, and a ratio is taken within a
 * round. See docs/benchmark.md.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };
import { tempDir } from "../tests/processes.ts";
import { measureHuge } from "./bench/huge.ts";
import { writeJournal } from "./bench/links.ts";
import { measureLoads } from "./bench/loads.ts";
import { findPrograms } from "./bench/programs.ts";
import { measureRates } from "./bench/rates.ts";
import { bars, type Figures, report } from "./bench/report.ts";
import { measureStarts } from "./bench/starts.ts";
import { drawBars } from "./bench/svg.ts";
import { describeMachine, findCommand, progress } from "./bench/tools.ts";
import { takeArgs } from "./args.ts";

const HELP = `deno task bench [flags]

  --quick       a few minutes, for a first look: 2 rounds
  --rounds=N    how often every contestant has its turn (9)
  --seconds=N   how long a turn takes (1)
  --links=N     how many links there are (1000000)
  --large       also loads ten times as many
  --huge        only loads 100 million, and adds more (12 GB of memory, 8 GB of disk)
  --slots=N     with --huge: as many links as make a table of N slots grow (134217728)
  --beside=DIR  another version of goto, in the folder of its source
  --only=PART   starts, loads or rates
  --json=FILE   write the figures
  --svg=FILE    draw them
`;

const FEW = 1000;

const options = takeArgs("bench", {
  quick: { type: "boolean", default: false },
  rounds: { type: "string" },
  seconds: { type: "string", default: "1" },
  links: { type: "string", default: "1000000" },
  large: { type: "boolean", default: false },
  huge: { type: "boolean", default: false },
  slots: { type: "string" },
  beside: { type: "string" },
  only: { type: "string" },
  json: { type: "string" },
  svg: { type: "string" },
  help: { type: "boolean", default: false },
});

async function bench(): Promise<void> {
  const rounds = count("rounds", options.rounds ?? (options.quick ? "2" : "9"));
  const seconds = count("seconds", options.seconds);
  const links = count("links", options.links);
  const repeats = options.quick ? 2 : 4; // of loads; of starts twice as many
  using temp = tempDir();
  const machine = await describeMachine(temp.path.replace(/[^/]*$/, ""));
  const programs = await findPrograms(temp.path, options.beside);
  const figures: Figures = {
    date: new Date().toISOString().slice(0, 10),
    machine,
    goto: config.version,
    rounds,
    seconds,
    starts: [],
    loads: [],
    rows: [],
  };
  const does = (part: string) => !options.huge && [undefined, part].includes(options.only);
  if (does("starts")) {
    const journal = writeJournal(temp.path, FEW);
    figures.starts = await measureStarts(programs, temp.path, journal, FEW, 2 * repeats);
  }
  const journal = does("loads") || does("rates") ? writeJournal(temp.path, links) : "";
  if (does("loads")) {
    figures.loads = await measureLoads(programs, temp.path, journal, links, repeats);
  }
  if (does("loads") && options.large) {
    const large = writeJournal(temp.path, 10 * links);
    // Once, since it takes Go minutes.
    const others = { ...programs, beside: undefined };
    const more = await measureLoads(others, temp.path, large, 10 * links, 1);
    figures.loads.push(...more);
    await Deno.remove(large);
  }
  if (does("rates")) {
    const turns = { rounds, seconds, warmup: options.quick ? 2 : 5 };
    figures.rows = await measureRates(programs, temp.path, journal, links, turns);
  }
  if (options.huge) {
    const slots = options.slots === undefined ? undefined : count("slots", options.slots);
    figures.huge = await measureHuge(programs.ours, temp.path, slots);
  }
  console.log(report(figures));
  if (options.json !== undefined) {
    await Deno.writeTextFile(options.json, JSON.stringify(figures, null, 2) + "\n");
  }
  if (options.svg !== undefined) {
    const { date } = figures;
    const note =
      `${date}, ${machine.cpu}, ${machine.cores} cores, Deno ${machine.deno}; wrk on one of them`;
    await Deno.writeTextFile(
      options.svg,
      drawBars("Requests a second", bars(figures.rows), note),
    );
  }
}

function count(name: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  console.error(`bench: --${name}: ${JSON.stringify(text)} is not allowed: use a whole number`);
  Deno.exit(2);
}

if (options.help) {
  console.log(HELP);
} else if (!await findCommand("-v", "wrk")) {
  console.error("bench: wrk is missing: apt install wrk, brew install wrk, or from its source");
  Deno.exitCode = 1;
} else {
  try {
    await bench();
  } catch (error) {
    progress("");
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    Deno.exitCode = 1;
  }
}
