/** What a report says of the picture. */
import { expect, test } from "vitest";
import { nameShown } from "./watch_reports";

test("a report names the quality on screen by its shorter side, and none before the first picture", () => {
  expect(nameShown({ videoWidth: 1280, videoHeight: 720 })).toBe("720p");
  expect(nameShown({ videoWidth: 360, videoHeight: 640 })).toBe("360p");
  expect(nameShown({ videoWidth: 0, videoHeight: 0 })).toBe("");
  expect(nameShown(null)).toBe("");
});
