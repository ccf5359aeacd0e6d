/**
 * Proxies that the environment names, which are not ours to use.
 *
 * @module
 */

/** The variables by which `fetch` finds a proxy. `deno task start` and the binary may touch them. */
export const PROXY_VARIABLES: readonly string[] = [
  "HTTP_PROXY",
  "http_proxy",
  "HTTPS_PROXY",
  "https_proxy",
  "ALL_PROXY",
  "all_proxy",
];

/**
 * Lets `fetch` reach what it is told to, not a proxy, which would see the token of replicas.
 * `fetch` reads the variables once, so this must come before the first.
 *
 * @example
 * ```ts ignore
 * ignoreProxies();
 * Deno.env.get("http_proxy"); // undefined
 * ```
 */
export function ignoreProxies(): void {
  for (const name of PROXY_VARIABLES) Deno.env.delete(name);
}
