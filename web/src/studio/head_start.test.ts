/** What an upload's row says of its head start. */
import { expect, test } from "vitest";
import { describeHeadStart } from "./head_start";

test.each([
  [null, null],
  [{ progress: 0, reason: null }, null],
  [{ progress: 0.4299, reason: null }, "Encoding alongside: 42 %"],
  [{ progress: 0.004, reason: null }, "Encoding alongside: 0 %"],
  [{ progress: 0, reason: "No index." }, "Encoding waits for the rest. No index."],
])("%j is told as %j", (known, told) => expect(describeHeadStart(known)).toBe(told));
