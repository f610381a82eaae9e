/** When a subscription ends, and who is behind a refusal. */
import { expect, test } from "vitest";
import { ApiError } from "../kit/errors";
import { describeSubscription, findGate, readEnd } from "./shapes";

const NOW_MS = Date.parse("2026-01-01T12:00:00Z");
const ada = { id: "u1", username: "ada", display_name: "Ada" };

test("an end is none, so many days away, or a time that is to come", () => {
  expect(readEnd({ span: "open", text: "" }, NOW_MS)).toEqual({ until: null });
  expect(readEnd({ span: "month", text: "" }, NOW_MS)).toEqual({ until: "2026-01-31T12:00:00.000Z" });
  expect(readEnd({ span: "year", text: "" }, NOW_MS)).toEqual({ until: "2027-01-01T12:00:00.000Z" });
  expect(readEnd({ span: "time", text: "" }, NOW_MS)).toHaveProperty("problem");
  expect(readEnd({ span: "time", text: "2025-12-31T12:00" }, NOW_MS)).toHaveProperty("problem");
});

test("a subscription says where it comes from and when it ends", () => {
  expect(describeSubscription({ source: "gift", until: null })).toBe("Gift, without an end");
  expect(describeSubscription({ source: "payment", until: "2026-06-12T12:00:00Z" })).toMatch(/^Paid, until Fri, Jun 12/);
});

test("only a refusal for want of a subscription names the owner", () => {
  const refuse = (code: string, details: unknown) => new ApiError(code, 403, "No.", null, details);
  expect(findGate(refuse("for_subscribers", { owner: ada }))).toEqual(ada);
  expect(findGate(refuse("for_subscribers", null))).toBeNull();
  expect(findGate(refuse("permission_denied", { owner: ada }))).toBeNull();
  expect(findGate(new Error("lost"))).toBeNull();
});
