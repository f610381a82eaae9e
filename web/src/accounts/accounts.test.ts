/** Where a login leads, and what a device is called. */
import { expect, test } from "vitest";
import { describeDevice } from "./device";
import { decideNext } from "./entry_form";

test.each([
  ["/studio?live=1", "/studio?live=1"],
  ["//evil.example", "/"],
  ["/\\evil.example", "/"],
  ["https://evil.example", "/"],
])("after a login with next=%s the page is %s", (next, path) => {
  expect(decideNext(new URLSearchParams({ next }))).toBe(path);
});

test("without a wish the page is home", () => expect(decideNext(new URLSearchParams())).toBe("/"));

test.each([
  [
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
    "Edge on Windows",
  ],
  ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"],
  [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Safari/604.1",
    "Safari on iOS",
  ],
  ["obs-studio/32.0", "obs-studio"],
  ["", "Unknown device"],
])("%s", (userAgent, words) => expect(describeDevice(userAgent)).toBe(words));
