/** What stands in the place of a live that is not here for somebody, or not any more. Pure. */
import { ApiError } from "../kit/errors";

export interface Absence {
  title: string;
  text: string;
}

const NOT_HERE: ReadonlySet<number> = new Set([403, 404, 422]);
const NEVER_SEEN: Absence = {
  title: "This broadcast is not here",
  text: "It may be private, or the link has a mistake in it.",
};
const NOT_ANY_MORE: Absence = {
  title: "This broadcast is no longer here",
  text: "It was taken down or deleted, or it was hidden from you.",
};
export const TAKEN_DOWN: Absence = {
  title: "This broadcast is taken down",
  text: "Nobody can watch it or read its chat. Its owner is told your reason, which is on record.",
};

/** The API says one thing of what is gone and of what is hidden; `wasShown`: this page had it until now. */
export function findAbsence(error: unknown, wasShown: boolean): Absence | null {
  if (!(error instanceof ApiError) || !NOT_HERE.has(error.status)) return null;
  return wasShown ? NOT_ANY_MORE : NEVER_SEEN;
}
