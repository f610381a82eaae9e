/** Keys and grants of the player. */
import { expect, test } from "vitest";
import { rewriteGrant } from "./grant";
import { decideCommand } from "./keys";

test("a renewed grant takes the place of the old one in segment addresses", () => {
  const segment = "http://edge:8001/t/old.grant/v/1/360p/4.m4s";
  expect(rewriteGrant(segment, "http://edge:8001/t/new.$&grant/v/1/master.m3u8")).toBe(
    "http://edge:8001/t/new.$&grant/v/1/360p/4.m4s",
  );
});

test("public addresses stay as they are", () => {
  const segment = "http://edge:8001/v/1/360p/4.m4s";
  expect(rewriteGrant(segment, "http://edge:8001/v/1/master.m3u8")).toBe(segment);
});

test.each([
  [" ", "page", { kind: "toggle" }],
  ["K", "page", { kind: "toggle" }],
  [" ", "button", null],
  ["k", "button", { kind: "toggle" }],
  ["ArrowLeft", "page", { kind: "seek", bySeconds: -5 }],
  ["ArrowLeft", "slider", null],
  ["ArrowUp", "page", null],
  ["ArrowUp", "player", { kind: "volume", by: 0.1 }],
  ["f", "slider", { kind: "full" }],
  ["Tab", "player", null],
] as const)("key %j on the %s", (key, role, command) => expect(decideCommand(key, role)).toEqual(command));
