/** Lines of charts. */
import { expect, test } from "vitest";
import { drawLine } from "./chart";

test("a line goes from the first value to the last within the picture", () => {
  expect(drawLine([0, 5, 10], 10)).toBe("M0 160L300 80L600 0");
  expect(drawLine([0], 0)).toBe("M0 160");
  expect(drawLine([], 1)).toBe("");
});
