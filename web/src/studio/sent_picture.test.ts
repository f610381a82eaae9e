/** The choice of picture: what it asks of the camera and the edge. */
import { expect, test } from "vitest";
import { decideEncodings } from "../kit/encodings";
import { askFor, resizeCamera } from "./camera";
import { decideAsked, decideLargest, findPicture, SENT_PICTURES } from "./sent_picture";

const EDGE_TAKES_BPS = 6_000_000;
const SOUND_BPS = 64_000;

test.each(SENT_PICTURES)("$name with its smaller encodings is no more than an edge takes", (picture) => {
  const encodings = decideEncodings(picture, decideLargest(picture, false), true);
  const sum = encodings.reduce((bps, encoding) => bps + (encoding.maxBitrate ?? 0), SOUND_BPS);
  expect(sum).toBeLessThan(EDGE_TAKES_BPS);
  expect(encodings.at(-1)).toMatchObject({ scaleResolutionDownBy: 1, maxBitrate: picture.bitrateBps });
});

test("a choice that is not known is 720p", () => {
  expect(["360p", "4320p", null].map((name) => findPicture(name).name)).toEqual(["360p", "720p", "720p"]);
});

test("a camera is asked for what is chosen, or for as many lines as the session needs", () => {
  const asked = (name: string, linesMin: number) => decideAsked(findPicture(name), linesMin).name;
  expect([asked("360p", 0), asked("360p", 360), asked("360p", 720)]).toEqual(["360p", "360p", "720p"]);
  expect([asked("480p", 720), asked("1080p", 720)]).toEqual(["720p", "1080p"]);
});

test("a screen keeps its own size", () => {
  expect(decideLargest(findPicture("360p"), true)).toEqual({ bitrateBps: 800_000, linesMax: Infinity });
  expect(decideLargest(findPicture("360p"), false)).toEqual({ bitrateBps: 800_000, linesMax: 360 });
});

test("a camera that cannot change its size keeps it", async () => {
  const asked: unknown[] = [];
  const track = {
    applyConstraints: (wanted: unknown) => {
      asked.push(wanted);
      return Promise.reject(new Error("OverconstrainedError"));
    },
  };
  await resizeCamera({ getVideoTracks: () => [track] } as unknown as MediaStream, findPicture("480p"));
  expect(asked).toEqual([askFor(findPicture("480p"))]);
  expect(JSON.stringify(asked)).not.toContain("exact");
});
