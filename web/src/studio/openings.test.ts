import { expect, test } from "vitest";
import { Openings } from "./openings";

function makeStream(): { stream: MediaStream; stopped: () => number } {
  let count = 0;
  const track = { stop: () => (count += 1) };
  return { stream: { getTracks: () => [track, track] } as unknown as MediaStream, stopped: () => count };
}

test("a camera that opens after the page was left is off at once", async () => {
  const openings = new Openings();
  const { stream, stopped } = makeStream();
  let answer: (stream: MediaStream) => void = () => undefined;
  const opened = openings.wait(new Promise((resolve) => (answer = resolve)));
  openings.close();
  answer(stream);
  expect(await opened).toBeNull();
  expect(stopped()).toBe(2);
});

test("one that opens in time, also after another was closed, stays on", async () => {
  const openings = new Openings();
  openings.close();
  const { stream, stopped } = makeStream();
  expect(await openings.wait(Promise.resolve(stream))).toBe(stream);
  expect(stopped()).toBe(0);
});

test("why one does not open is said as before", async () => {
  const openings = new Openings();
  const refused = openings.wait(Promise.reject(new Error("NotAllowedError")));
  openings.close();
  await expect(refused).rejects.toThrow("NotAllowedError");
});
