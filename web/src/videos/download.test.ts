/** What pressing Download asks for, against an API played here. */
import { afterEach, expect, test, vi } from "vitest";
import { findDownload } from "./download";

const OLD = "http://edge:8001/t/old.grant/v/1/download/best.mp4";
const asked: string[] = [];

function answer(playback: object | null, status = 200): void {
  asked.length = 0;
  vi.stubGlobal("localStorage", { getItem: () => null });
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    return Promise.resolve(Response.json({ playback, error: "video_not_found", message: "Gone." }, { status }));
  });
}

afterEach(() => void vi.unstubAllGlobals());

test("a download has the right of the moment it is asked for", async () => {
  const fresh = OLD.replace("old", "new");
  answer({ download: fresh });
  expect(await findDownload("1")).toBe(fresh);
  expect(asked).toEqual(["/v1/videos/1"]);
});

test("a file that is no longer offered, or not to them, is not opened", async () => {
  answer({ download: null });
  await expect(findDownload("1")).rejects.toThrow("no longer be downloaded");
  answer(null, 404);
  await expect(findDownload("1")).rejects.toThrow("Gone.");
});
