/**
 * What pages load, and what browsers and crawlers ask for by themselves.
 *
 * @module
 */
import { allow } from "../http/request.ts";
import icon from "./icon.svg" with { type: "text" };
import script from "./script.js" with { type: "text" };
import css from "./style.css" with { type: "text" };

const DAY = "public, max-age=86400";
const FOR_EVER = "public, max-age=31536000, immutable";

/** Links may be followed by crawlers; the pages that make them are nothing to be found. */
const ROBOTS = `User-agent: *
Disallow: /.
Disallow: /add$
Disallow: /add?
Disallow: /api/
Disallow: /rpc$
Disallow: /rpc/
`;

/** Where pages find what they load: by another name when it is another text, so it can be kept. */
export const style = {
  css: `/.style.css?${fingerprint(css)}`,
  script: `/.script.js?${fingerprint(script)}`,
  icon: `/.icon.svg?${fingerprint(icon)}`,
};

/** The routes to them. */
export const assets: [path: string, answer: (req: Request) => Response][] = [
  [".style.css", serve(css, "text/css", FOR_EVER)],
  [".script.js", serve(script, "text/javascript", FOR_EVER)],
  [".icon.svg", serve(icon, "image/svg+xml", FOR_EVER)],
  ["favicon.ico", serve(icon, "image/svg+xml", DAY)],
  ["robots.txt", serve(ROBOTS, "text/plain", DAY)],
];

function serve(text: string, type: string, cache: string): (req: Request) => Response {
  const headers = {
    "content-type": `${type}; charset=utf-8`,
    "cache-control": cache,
    "x-content-type-options": "nosniff",
  };
  return (req) => {
    allow(req, "GET", "HEAD");
    return new Response(text, { headers });
  };
}

/** FNV-1a: enough to tell one version of a text from another. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(36);
}
