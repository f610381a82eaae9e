/** Addresses to parameters. */
import { expect, test } from "vitest";
import { matchRoute } from "./router";

test.each([
  ["/", "/", {}],
  ["/watch/{video}", "/watch/abc", { video: "abc" }],
  ["/watch/{video}", "/watch/abc/", { video: "abc" }],
  ["/u/{username}", "/u/%C3%A5sa", { username: "åsa" }],
  ["/live", "/live/1", null],
  ["/live/{id}", "/live", null],
  ["/u/{username}", "/u/%E0%A4%A", null],
])("%s on %s gives %j", (pattern, path, parameters) => expect(matchRoute(pattern, path)).toEqual(parameters));
