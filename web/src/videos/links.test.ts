/** Moments in addresses. */
import { expect, test } from "vitest";
import { isEmbeddable, readStart, writeEmbed, writeLink } from "./links";
import { VISIBILITIES } from "./shapes";

test.each([
  ["90", 90],
  ["90s", 90],
  ["1m30s", 90],
  ["1h2m3s", 3723],
  ["", null],
  ["soon", null],
  ["-5", null],
  [null, null],
])("%j starts at %j", (text, startS) => expect(readStart(text)).toBe(startS));

test("a link says where to start unless it is the start", () => {
  expect(writeLink("v", 0)).toBe("/watch/v");
  expect(writeLink("v", 61)).toBe("/watch/v?t=61");
  expect(writeEmbed("https://a.example", "v", 5)).toContain('src="https://a.example/embed/v?t=5"');
});

test("only what strangers may watch plays on other sites", () => {
  const shown = VISIBILITIES.filter(({ value }) => isEmbeddable({ visibility: value })).map(({ value }) => value);
  expect(shown).toEqual(["public", "unlisted"]);
});
