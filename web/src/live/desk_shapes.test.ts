/** What moderators work with: words as typed, the draft of rules, and the queue that others work on too. */
import { expect, test } from "vitest";
import type { ChannelEvent } from "../kit/frames";
import {
  applyDecided,
  findWordsProblem,
  hasChanges,
  makeDraft,
  parseWords,
  readDraft,
  startForm,
  takeStored,
  type FullRules,
  type HeldLine,
} from "./desk_shapes";

const ada = { id: "u1", username: "ada", display_name: "Ada" };
const held = (id: string): HeldLine => ({ id, user: ada, text: id, why: "word", created_at: "2026-01-01T00:00:00Z" });
const rules: FullRules = {
  slow_mode_s: 10,
  followers_only: true,
  follow_age_min_s: 600,
  subscribers_only: false,
  holds_links: true,
  blocked_words: ["spoiler"],
  held_words: ["give away", "promo"],
};

test("words come one per line or between commas, each once", () => {
  expect(parseWords(" Spoiler,\nspoiler\n\nbuy   now , promo")).toEqual(["spoiler", "buy now", "promo"]);
  expect(parseWords("")).toEqual([]);
  expect(findWordsProblem(["ok"])).toBeNull();
  expect(findWordsProblem(["ok", "x"])).toContain("“x”");
  expect(findWordsProblem(Array.from({ length: 201 }, (_, index) => `word ${index}`))).toContain("201");
});

test("a draft goes there and back, and says which field is wrong", () => {
  expect(readDraft(makeDraft(rules))).toEqual({ rules });
  expect(readDraft({ ...makeDraft(rules), slowMode: "" })).toMatchObject({ rules: { slow_mode_s: 0 } });
  for (const slowMode of ["-1", "2.5", "3601", "soon"]) {
    expect(readDraft({ ...makeDraft(rules), slowMode })).toMatchObject({ field: "slowMode" });
  }
  expect(readDraft({ ...makeDraft(rules), held: "a" })).toMatchObject({ field: "held" });
});

test("a line that anybody decided on leaves the queue", () => {
  const event = (type: string, data: unknown) => ({ type, channel: "room:1", data }) as ChannelEvent;
  const lines = [held("h1"), held("h2")];
  expect(applyDecided(lines, event("held_refused", { held_id: "h1" }))).toEqual([held("h2")]);
  expect(applyDecided(lines, event("chat_message", { id: "m1", held_id: "h2" }))).toEqual([held("h1")]);
  expect(applyDecided(lines, event("chat_message", { id: "m2" }))).toEqual(lines);
  expect(applyDecided(lines, event("message_held", { held_id: "h1" }))).toEqual(lines);
});

test("rules that arrive late take nothing that was typed meanwhile", () => {
  const form = startForm(rules);
  expect(hasChanges(form)).toBe(false);
  const later = { ...rules, slow_mode_s: 30 };
  expect(takeStored(form, later).draft.slowMode).toBe("30");
  const typed = { ...form, draft: { ...form.draft, held: "typed" } };
  expect(takeStored(typed, later)).toBe(typed);
});
