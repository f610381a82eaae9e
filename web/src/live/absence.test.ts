/** What a page says of a live that it may not show. */
import { expect, test } from "vitest";
import { ApiError } from "../kit/errors";
import { findAbsence } from "./absence";

test("what somebody watched until now is said to be gone, another link to be wrong", () => {
  const gone = new ApiError("live_not_found", 404, "There is no such live.");
  expect(findAbsence(gone, true)?.title).toBe("This broadcast is no longer here");
  expect(findAbsence(gone, false)?.title).toBe("This broadcast is not here");
  expect(findAbsence(new ApiError("malformed", 422, "No id."), false)).not.toBeNull();
});

test("a server that is away takes nothing off the page", () => {
  for (const status of [0, 429, 500, 503]) expect(findAbsence(new ApiError("away", status, "Away."), true)).toBeNull();
  expect(findAbsence(null, true)).toBeNull();
  expect(findAbsence(new Error("odd"), false)).toBeNull();
});
