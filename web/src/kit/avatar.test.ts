/** Initials and colours of people. */
import { expect, test } from "vitest";
import { decideColour, readInitials } from "./avatar";

test.each([
  ["Ada Moreau", "AM"],
  ["jonas_k", "JK"],
  ["mila", "M"],
  ["Ada de la Cruz", "AC"],
  ["   ", "?"],
])("%s is %s", (name, initials) => expect(readInitials(name)).toBe(initials));

test("a name always has the same one of six colours, and names use all of them", () => {
  const colours = Array.from({ length: 200 }, (_, index) => decideColour(`person_${index}`));
  expect(new Set(colours)).toEqual(new Set([0, 1, 2, 3, 4, 5]));
  expect(decideColour("ada")).toBe(decideColour("ada"));
});
