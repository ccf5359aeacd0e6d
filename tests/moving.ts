/**
 * What becomes of the files of other programs.
 *
 * @module
 */
const INVALID_KEY = "invalid key: use 1 to 64 of A-Z a-z 0-9 _ -, and dots inside";

/** What becomes of a file. */
export interface Outcome {
  /** The links, by key: where each leads, and when it ends. */
  links: Record<string, string | [url: string, expires: number]>;
  /** What is refused: in which line, and why. */
  refused: [line: number, reason: string][];
  /** What is said of the file. */
  remarks: string[];
}

/** The files in testdata/moving/, written by hand in the form that each program documents. */
export const OUTCOMES: Record<string, Outcome> = {
  "golink.jsonl": {
    links: {
      docs: "https://example.com/handbook",
      who: "https://people.example.com/{path}",
      search: "https://search.example.com/?q={+path}",
      find: "https://search.example.com/?q={path}&hl=en",
    },
    refused: [
      [5, "its template {{PathEscape .Path}} escapes slashes in a path, and a link here can't"],
      [6, "a template stands in the host of its URL"],
      [7, "its template {{.User}} does more than place .Path"],
      [8, "its template {{with .Path}} does more than place .Path"],
      [9, `Long "docs" doesn't begin with https:// or http://`],
      [10, INVALID_KEY],
      [11, "Long has {path} or {query} in it, which stand for what follows a key here"],
      [12, "bad JSON"],
    ],
    remarks: ["ignored: LastEdit"],
  },
  "yourls.csv": {
    links: {
      docs: "https://example.com/docs",
      multi: "https://example.com/multi",
      nodate: "https://example.com/nodate",
    },
    refused: [
      [5, `keyword "sub/page": a key has no slash`],
      [6, "invalid URL: it must start with http:// or https://"],
      [7, "it has 7 fields, and the header has 6"],
    ],
    remarks: ["times without a zone are taken for UTC", "ignored: title, ip, clicks"],
  },
  "yourls-admin.csv": {
    links: { docs: "https://example.com/docs", multi: "https://example.com/multi" },
    refused: [],
    remarks: ["ignored: Date, IP, Clicks"],
  },
  "yourls-import-export.csv": {
    links: { docs: "https://example.com/docs", list: "https://example.com/?a=1,2" },
    refused: [[4, `source "/sub/page/": a key has no slash`]],
    remarks: ["ignored: hits"],
  },
  "shlink.csv": {
    links: { docs: "https://example.com/docs", multi: "https://example.com/multi" },
    refused: [
      [4, `shortCode "foo/bar": a key has no slash`],
      [5, INVALID_KEY],
      [6, "it has 4 fields, and the header has 8"],
    ],
    remarks: ["ignored: domain, title, tags, visits"],
  },
  "shlink.json": {
    links: {
      docs: "https://example.com/docs",
      ends: ["https://example.com/ends", 4101814800],
    },
    refused: [
      [51, "link expired"],
      [65, "it has a limit of visits (meta.maxVisits)"],
      [79, `it doesn't lead anywhere yet (meta.validSince "2099-01-01T00:00:00+02:00")`],
      [93, "it has rules that lead elsewhere (hasRedirectRules)"],
      [107, "it leads elsewhere on some devices (deviceLongUrls.android)"],
    ],
    remarks: [
      "it has 7 of 12 links: get the other pages, too",
      "ignored: tags, domain, title, crawlable, forwardQuery, visitsSummary",
    ],
  },
  "kutt.json": {
    links: {
      docs: "https://example.com/docs",
      ends: ["https://example.com/ends", 4101814800],
      brand: "https://example.com/brand",
    },
    refused: [
      [1, "link expired"],
      [1, "it has a password (password)"],
      [1, "it is banned (banned)"],
    ],
    remarks: [
      "times without a zone are taken for UTC",
      "ignored: id, updated_at, description, visit_count, domain",
    ],
  },
  "chhoto.json": {
    links: {
      docs: "https://example.com/docs",
      ends: ["https://example.com/ends", 4101814800],
    },
    refused: [
      [3, "link expired"],
      [4, `expiry_time "tomorrow" is not a number of seconds since 1970`],
      [5, "expiry_time 4101814800000 is after the year 2105"],
      [6, INVALID_KEY],
    ],
    remarks: ["ignored: hits, notes"],
  },
  "bitly.csv": {
    links: {
      "3usiGLP": "https://example.com/docs",
      "2ZL5Ood": "https://example.com/multi",
      multi: "https://example.com/multi",
      "2Diay99": "https://example.com/old",
      old: "https://example.com/old",
    },
    refused: [
      [5, `Link "bit.ly/a/b": a key has no slash`],
      [6, `Link "https://bit.ly/" is not a host with one part behind it`],
      [7, `Created "05/06/2021" is not a time like 2099-12-24T18:00:00Z`],
    ],
    remarks: ["ignored: Title, Tags"],
  },
  "bitly-old.csv": {
    links: { docs: "https://example.com/docs", multi: "https://example.com/multi" },
    refused: [],
    remarks: ["ignored: Title, Tags"],
  },
  "bitly.json": {
    links: {
      "3usiGLP": "https://example.com/docs",
      docs: "https://example.com/docs",
      handbook: "https://example.com/docs",
    },
    refused: [[1, "it is deleted (is_deleted)"]],
    remarks: ["ignored: title, archived, client_id, tags, deeplinks, references"],
  },
  "dub.csv": {
    links: { docs: "https://example.com/docs" },
    refused: [
      [3, `Short link "https://dub.sh/team/docs" is not a host with one part behind it`],
      [4, `Short link "https://dub.sh" is not a host with one part behind it`],
    ],
    remarks: ["ignored: Title, Clicks, Updated at, Tags"],
  },
  "dub-keys.csv": {
    links: {
      docs: "https://example.com/docs",
      ends: ["https://example.com/ends", 4101814800],
    },
    refused: [],
    remarks: [],
  },
  "dub.json": {
    links: {
      docs: "https://example.com/docs",
      ends: ["https://example.com/ends", 4101814800],
    },
    refused: [
      [3, "it has a password (password)"],
      [4, "it leads elsewhere from some countries (geo.US)"],
      [5, "it leads elsewhere on some devices (ios)"],
    ],
    remarks: [
      "ignored: id, domain, trackConversion, externalId, archived, expiredUrl, proxy, title, " +
      "description, image, video, rewrite, doIndex, publicStats, tags, comments, qrCode, " +
      "utm_source, userId, workspaceId, clicks, leads, sales, updatedAt",
    ],
  },
};
