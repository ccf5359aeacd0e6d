/**
 * Which database it is.
 *
 * @module
 */
import { ConnectDatabase } from "./connect.ts";
import type { Database } from "./database.ts";
import { EmbeddedDatabase } from "./embedded.ts";

/**
 * Opens a database.
 *
 * @param kv a path, or the URL of a service
 * @param token what the service asks for
 */
export async function openDatabase(kv: string, token: string): Promise<Database> {
  return /^https?:/.test(kv) ? new ConnectDatabase(kv, token) : await EmbeddedDatabase.open(kv);
}
