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
 * @param kv the URL of a service, or, without a token, a path
 * @param token what the service asks for
 */
export async function openDatabase(kv: string, token?: string): Promise<Database> {
  return token === undefined ? await EmbeddedDatabase.open(kv) : new ConnectDatabase(kv, token);
}
