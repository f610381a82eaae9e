/** The logged-in person's own record, kept fresh. */
import { getAccessToken } from "../kit/session";

/** Asks the server who we are; does nothing for a visitor, and nothing when the server is away. */
export async function refreshProfile(): Promise<void> {
  try {
    // The first token of a page comes by a refresh, and that answer carries the account.
    await getAccessToken();
  } catch {
    // The page works with what it knew; the next request will say what is wrong.
  }
}
