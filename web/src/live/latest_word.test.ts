/** What a page shows of a room when its two sources cross. */
import { expect, test } from "vitest";
import { ApiError } from "../kit/errors";
import type { LiveStatus } from "./shapes";
import { LatestWord } from "./latest_word";

/** An API whose answers arrive when the test says so. */
function makeDesk() {
  const shown: LiveStatus[] = [];
  const asked: { answer: (status: LiveStatus) => void; fail: (error?: Error) => void }[] = [];
  const desk = new LatestWord<LiveStatus>({
    read: () =>
      new Promise((resolve, reject) => asked.push({ answer: resolve, fail: (error = new Error("away")) => reject(error) })),
    tell: (status) => shown.push(status),
    pause: () => Promise.resolve(),
  });
  return { desk, shown, asked };
}

test("an answer from before the room went live does not put it back on standby", async () => {
  const { desk, shown, asked } = makeDesk();
  const asking = desk.ask();
  desk.hear("live");
  asked[0]?.answer("created");
  await asking;
  expect(shown).toEqual(["live"]);
});

test("an answer that nothing overtook is shown, and an event after it too", async () => {
  const { desk, shown, asked } = makeDesk();
  const asking = desk.ask();
  asked[0]?.answer("live");
  await asking;
  desk.hear("interrupted");
  expect(shown).toEqual(["live", "interrupted"]);
});

test("of two questions the later one counts, whichever is answered first", async () => {
  const { desk, shown, asked } = makeDesk();
  const both = [desk.ask(), desk.ask()];
  asked[1]?.answer("live");
  asked[0]?.answer("created");
  await Promise.all(both);
  expect(shown).toEqual(["live"]);
});

test("a question that fails is asked again until something is known", async () => {
  const { desk, shown, asked } = makeDesk();
  const asking = desk.ask();
  asked[0]?.fail();
  await expect.poll(() => asked.length).toBe(2);
  asked[1]?.answer("live");
  await asking;
  expect(shown).toEqual(["live"]);

  const second = desk.ask();
  desk.hear("ended");
  asked[2]?.fail();
  await second;
  expect(asked.length).toBe(3);
  expect(shown).toEqual(["live", "ended"]);
});

test("a page that was left is told nothing", async () => {
  const { desk, shown, asked } = makeDesk();
  const asking = desk.ask();
  desk.close();
  asked[0]?.answer("live");
  await asking;
  expect(shown).toEqual([]);
});

test("an event that is shown otherwise overtakes an answer too", async () => {
  const { desk, shown, asked } = makeDesk();
  const asking = desk.ask();
  desk.overtake();
  asked[0]?.answer("created");
  await asking;
  expect(shown).toEqual([]);
});

test("a question that is refused is not asked again", async () => {
  const { desk, shown, asked } = makeDesk();
  const asking = desk.ask();
  asked[0]?.fail(new ApiError("live_not_found", 404, "There is no such live."));
  await asking;
  expect(asked.length).toBe(1);
  expect(shown).toEqual([]);
});
