/** Likes before the server has answered. */
import { expect, test } from "vitest";
import { applyLike, type Post } from "./shapes";

const author = { id: "u1", username: "ada", display_name: "" };
const post: Post = {
  id: "p1",
  author,
  text: "",
  visibility: "public",
  created_at: "",
  videos: [],
  counters: { likes: 2, comments: 0 },
  liked: false,
};

test("a like counts once and its withdrawal takes it back", () => {
  const liked = applyLike(post, true);
  expect(liked.counters.likes).toBe(3);
  expect(applyLike(liked, true)).toBe(liked);
  expect(applyLike(liked, false)).toEqual(post);
});

test("a count never falls below zero", () => {
  expect(applyLike({ ...post, liked: true, counters: { likes: 0, comments: 0 } }, false).counters.likes).toBe(0);
});
