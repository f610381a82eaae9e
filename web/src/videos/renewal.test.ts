/** What becomes of pictures whose right has ended, against an API played here. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { beginLasting, renewFailed, YOUNG_MS } from "./renewal";

const NOW = 1_000_000;
const asked: string[] = [];

function granted(right: string, file: string): string {
  return `http://edge:8001/t/${right}/v/1/${file}`;
}

function answer(playback: object | null, status = 200): void {
  vi.stubGlobal("localStorage", { getItem: () => null });
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    return Promise.resolve(Response.json({ playback, error: "video_not_found", message: "Gone." }, { status }));
  });
}

beforeEach(() => void (asked.length = 0));
afterEach(() => void vi.unstubAllGlobals());

test("a picture whose right has ended gets another one, and so does what moves", async () => {
  answer({ thumbnail: granted("new", "thumbnail.jpg?v=2"), preview: granted("new", "preview.mp4") });
  const files = ["thumbnail.jpg", "preview.mp4"];
  const renewed = await Promise.all(files.map((file) => renewFailed(beginLasting(granted("old", file)), NOW)));
  expect(renewed.map((one) => one.address)).toEqual([
    granted("new", "thumbnail.jpg?v=2"),
    granted("new", "preview.mp4"),
  ]);
  expect(asked).toEqual(["/v1/videos/1"]);
});

test("what everybody may see has no right that could end", async () => {
  answer({ thumbnail: "http://edge:8001/v/1/thumbnail.jpg" });
  expect((await renewFailed(beginLasting("http://edge:8001/v/1/thumbnail.jpg"), NOW)).address).toBeNull();
  expect(asked).toEqual([]);
});

test("a renewed picture that fails at once is given up, and later renewed again", async () => {
  answer({ thumbnail: granted("new", "thumbnail.jpg") });
  const renewed = await renewFailed(beginLasting(granted("old", "thumbnail.jpg")), NOW);
  expect((await renewFailed(renewed, NOW + YOUNG_MS - 1)).address).toBeNull();
  answer({ thumbnail: granted("newer", "thumbnail.jpg") });
  expect((await renewFailed(renewed, NOW + YOUNG_MS)).address).toBe(granted("newer", "thumbnail.jpg"));
});

test("a picture of what they may no longer see stays away", async () => {
  answer(null, 404);
  expect((await renewFailed(beginLasting(granted("old", "thumbnail.jpg")), NOW)).address).toBeNull();
  answer({ thumbnail: null });
  expect((await renewFailed(beginLasting(granted("old", "thumbnail.jpg")), NOW)).address).toBeNull();
});
