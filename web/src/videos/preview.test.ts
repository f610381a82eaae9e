/** What keeps a card still. */
import { expect, test } from "vitest";
import { mayPreview } from "./preview";

const calm = { reducedMotion: false, savesData: false };

test("a card moves only where there is something to play and nobody asked for less", () => {
  expect(mayPreview("/v/1/preview.mp4", calm)).toBe(true);
  expect(mayPreview(null, calm)).toBe(false);
  expect(mayPreview(undefined, calm)).toBe(false);
  expect(mayPreview("/v/1/preview.mp4", { ...calm, reducedMotion: true })).toBe(false);
  expect(mayPreview("/v/1/preview.mp4", { ...calm, savesData: true })).toBe(false);
});
