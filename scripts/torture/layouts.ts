/**
 * Which machines there are, and who follows whom.
 *
 * @module
 */
import { DENOKV, Denokv } from "../../tests/denokv.ts";
import type { Kind } from "./machine.ts";

/** A machine to be. */
interface Plan {
  name: string;
  /** A cache, unless it says so. */
  kind?: Kind;
  /** The names of those that it follows, in the order of its `-master`. */
  above?: string[];
  flags?: string[];
  /** Whether it keeps a copy of what is in its database. */
  copies?: boolean;
  /** How far from the database's service it is, in milliseconds. */
  away?: number;
}

/** A cluster to be. The first machine is the master. */
export interface Layout {
  machines: Plan[];
  /** Starts the database that the machines share. */
  service?: () => Promise<Denokv>;
}

const journal: Plan[] = [
  { name: "first", kind: "file", above: ["second", "third"], flags: ["-threads=2"] },
  { name: "second", kind: "file", above: ["first", "third"] },
  { name: "third", kind: "file", above: ["first", "second"] },
  { name: "cache", above: ["first", "second", "third"] },
  { name: "threads", above: ["first", "second", "third"], flags: ["-threads=2", "-cache=10"] },
  { name: "leaf", above: ["second", "third", "first"] },
  { name: "last", above: ["leaf"], flags: ["-cache=10"] },
];

/** A master, a mirror and two caches: enough for a short look. */
export const SMALL: Layout = {
  machines: [
    { name: "first", kind: "file", above: ["second"], flags: ["-threads=2"] },
    { name: "second", kind: "file", above: ["first"] },
    { name: "cache", above: ["first", "second"] },
    { name: "last", above: ["cache"], flags: ["-threads=2", "-cache=10"] },
  ],
};

/** All layouts that this machine has what it takes for. */
export const LAYOUTS: Record<string, Layout> = {
  /** A master, two mirrors that may take its place, and a tree of caches. */
  journal: { machines: journal },
  small: SMALL,
  /** A master whose links are in an embedded database, a mirror that may take its place, and caches. */
  database: {
    machines: [
      { name: "first", kind: "database", flags: ["-threads=2", "-kv=links.db"] },
      { name: "mirror", kind: "file", above: ["first"] },
      { name: "cache", above: ["first", "mirror"] },
      { name: "threads", above: ["first", "mirror"], flags: ["-threads=2", "-cache=10"] },
      { name: "last", above: ["cache"], flags: ["-cache=10"] },
    ],
  },
  ...DENOKV && {
    /** Two masters that share a service, a mirror that may take their place, and caches. */
    service: {
      service: () => Denokv.start(),
      machines: [
        { name: "first", kind: "service", flags: ["-threads=2"] },
        { name: "second", kind: "service", copies: true },
        { name: "mirror", kind: "file", above: ["first", "second"] },
        { name: "cache", above: ["first", "second", "mirror"] },
        {
          name: "threads",
          above: ["second", "first", "mirror"],
          flags: ["-threads=2", "-cache=10"],
        },
      ],
    },
    /** Three masters, of which one is far from the service, and one keeps a copy; two mirrors, and a tree of caches. */
    services: {
      service: () => Denokv.start(),
      machines: [
        { name: "first", kind: "service" },
        { name: "second", kind: "service", copies: true },
        { name: "far", kind: "service", away: 30 },
        { name: "mirror", kind: "file", above: ["first", "second", "other"] },
        { name: "other", kind: "file", above: ["far", "first", "mirror"] },
        { name: "cache", above: ["far", "second", "mirror", "other"] },
        { name: "leaf", above: ["mirror", "other"], flags: ["-cache=10"] },
      ],
    },
  },
};
