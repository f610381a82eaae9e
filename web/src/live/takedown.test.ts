/** Who is offered to take a live down, and what they read before they do. */
import { expect, test } from "vitest";
import { describeTakedown, mayTakeDown } from "./takedown";

const owner = "u1";

test("moderators of the site may, and nobody of what is theirs", () => {
  expect(mayTakeDown({ id: "u2", role: "moderator" }, owner)).toBe(true);
  expect(mayTakeDown({ id: "u2", role: "admin" }, owner)).toBe(true);
  expect(mayTakeDown({ id: owner, role: "admin" }, owner)).toBe(false);
});

test("nobody else may", () => {
  for (const role of ["user", "creator", "owner", undefined]) {
    expect(mayTakeDown({ id: "u2", ...(role === undefined ? {} : { role }) }, owner)).toBe(false);
  }
  expect(mayTakeDown(null, owner)).toBe(false);
});

test("what is said follows where the live stands", () => {
  for (const status of ["live", "interrupted"] as const) {
    expect(describeTakedown({ status })).toContain("cut off within a second");
  }
  for (const status of ["created", "scheduled"] as const) {
    expect(describeTakedown({ status })).toContain("disappears from every list");
  }
  expect(describeTakedown({ status: "ended" })).toContain("the video that was made of it disappear");
});
