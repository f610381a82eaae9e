/** Keys and grants of the player. */
import { expect, test } from "vitest";
import { findKeys, rewriteGrant } from "./grant";
import { decideCommand, stepSpeed } from "./keys";
import { findPlace, seekTo } from "./places";
import { offerLevels } from "./quality";
import { findTile, readTiles } from "./storyboard";
import { thinPeaks } from "./waveform";

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

test("keys are asked for beside the playlists, under the same grant", () => {
  expect(findKeys("http://edge:8001/t/a.grant/v/1/master.m3u8")).toBe("http://edge:8001/t/a.grant/v/1/keys");
  expect(findKeys("http://edge:8001/v/1/master.m3u8?x=1")).toBe("http://edge:8001/v/1/keys");
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
  ["Home", "slider", null],
  ["Home", "button", { kind: "jump", share: 0 }],
  ["Home", "page", null],
  [" ", "slider", { kind: "toggle" }],
  [" ", "list", null],
  ["ArrowDown", "list", null],
  ["m", "list", { kind: "mute" }],
  ["t", "page", { kind: "theatre" }],
  [">", "page", { kind: "speed", steps: 1 }],
  ["Tab", "player", null],
] as const)("key %j on the %s", (key, role, command) => expect(decideCommand(key, role)).toEqual(command));

test("speeds stay within the list", () => {
  expect([stepSpeed(1, 1), stepSpeed(2, 1), stepSpeed(0.25, -1)]).toEqual([1.25, 2, 0.25]);
});

test("a moment has the picture that its cue names, relative to the track", () => {
  const text =
    "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nstoryboard/00000.jpg#xywh=0,0,160,90\n\n" +
    "01:00:02.500 --> 01:00:04.000\nstoryboard/00001.jpg#xywh=320,90,160,90\n";
  const tiles = readTiles(text, "http://edge:8001/t/grant/v/1/storyboard.vtt");
  expect(tiles).toHaveLength(2);
  expect(findTile(tiles, 0)?.left).toBe(0);
  expect(findTile(tiles, 3602.4)?.left).toBe(0);
  expect(findTile(tiles, 9999)).toEqual({
    startS: 3602.5,
    sheet: "http://edge:8001/t/grant/v/1/storyboard/00001.jpg",
    left: 320,
    top: 90,
    width: 160,
    height: 90,
  });
  expect(findTile([], 5)).toBeNull();
});

test("a waveform keeps its loudest moments when it is thinned", () => {
  expect(thinPeaks([1, 9, 2, 3, 8, 1], 3)).toEqual([9, 3, 8]);
  expect(thinPeaks([5, 6], 200)).toEqual([5, 6]);
  expect(thinPeaks([])).toEqual([]);
});

test("of sizes that several codecs have, the lightest is offered and stands for all", () => {
  const all = [
    { width: 640, height: 360, bitrate: 500 },
    { width: 640, height: 360, bitrate: 300 },
    { width: 1280, height: 720, bitrate: 2000 },
  ];
  const { levels, shown } = offerLevels(all);
  expect(levels).toEqual([
    { index: 1, label: "360p" },
    { index: 2, label: "720p" },
  ]);
  expect([...shown]).toEqual([
    [0, 1],
    [1, 1],
    [2, 2],
  ]);
});

test("another source goes on where the first one was, and before its very end", () => {
  expect(findPlace({ currentTime: 0, duration: Number.NaN })).toBe(0);
  expect(findPlace({ currentTime: 7, duration: Number.POSITIVE_INFINITY })).toBe(7);
  expect(findPlace({ currentTime: 7, duration: 25 })).toBe(7);
  expect(findPlace({ currentTime: 25, duration: 25 })).toBe(24.8);
  expect(findPlace({ currentTime: 0.1, duration: 0.1 })).toBe(0);
});

test("nobody is sent to the very end, from where nothing is played, nor away from it by going on", () => {
  const video = { currentTime: 3, duration: 25, ended: false };
  seekTo(video, 30);
  expect(video.currentTime).toBe(24.8);
  seekTo(video, -2);
  expect(video.currentTime).toBe(0);
  const ended = { currentTime: 25, duration: 25, ended: true };
  seekTo(ended, 30);
  expect(ended.currentTime).toBe(25);
  seekTo(ended, 20);
  expect(ended.currentTime).toBe(20);
  const unknown = { currentTime: 0, duration: Number.NaN, ended: false };
  seekTo(unknown, 5);
  expect(unknown.currentTime).toBe(0);
});
