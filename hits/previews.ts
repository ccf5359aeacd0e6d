/**
 * Who fetches a link to show what is behind it, and not to follow it.
 *
 * @module
 */

// What messengers, social networks and mail programs say of themselves when they make a preview.
const FETCHERS = [
  "bitlybot",
  "bluesky",
  "cardyb",
  "discordbot",
  "embedly",
  "facebookexternalhit",
  "facebot",
  "flipboardproxy",
  "google-pagerenderer",
  "iframely",
  "linkedinbot",
  "mastodon",
  "matrix-media-repo",
  "mattermost-bot",
  "meta-externalfetcher",
  "microsoftpreview",
  "pinterestbot",
  "redditbot",
  "rocket.chat",
  "signal-desktop",
  "skypeuripreview",
  "slackbot-linkexpanding",
  "slack-imgproxy",
  "snap url preview",
  "synapse",
  "telegrambot",
  "twitterbot",
  "viber",
  "vkshare",
  "whatsapp",
  "zulipurlpreview",
];

const PATTERN = new RegExp(FETCHERS.map((name) => RegExp.escape(name)).join("|"), "i");

/**
 * Whether a `User-Agent` is that of a known fetcher of previews.
 *
 * @example
 * ```ts
 * isPreview("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"); // true
 * ```
 */
export function isPreview(agent: string | null): boolean {
  return agent !== null && PATTERN.test(agent);
}

/** Where browsers say that nobody has followed the link yet; the first is the standard's. */
const PURPOSES = ["sec-purpose", "purpose", "x-purpose", "x-moz"];
const AHEAD = /\bpre(?:fetch|render|view)\b/i;

/**
 * Whether a browser fetches, or shows in small, what somebody may follow later.
 *
 * @example
 * ```ts
 * isAhead(new Headers({ "sec-purpose": "prefetch;prerender" })); // true
 * ```
 */
export function isAhead(headers: Headers): boolean {
  return PURPOSES.some((name) => AHEAD.test(headers.get(name) ?? ""));
}
