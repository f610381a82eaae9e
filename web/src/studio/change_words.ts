/** What a change of a live writes, and what it does at once on air, said before its owner saves it. Pure. */
import type { Live } from "../live/shapes";
import type { Visibility } from "../videos/shapes";

export type LiveWords = Pick<Live, "title" | "visibility">;

const NARROWER: Partial<Record<Visibility, string>> = {
  followers: "Whoever watches and does not follow you is cut off within a second.",
  subscribers: "Whoever watches and does not subscribe to you is cut off within a second, and told why.",
  private: "Everybody who watches is cut off within a second. You stay on air, for yourself alone.",
};
const OPEN = { public: "Everybody finds it from now on.", unlisted: "Lists do not show it from now on." };

export function describeChange(before: LiveWords, after: LiveWords): string[] {
  const said: string[] = [];
  if (after.visibility !== before.visibility) said.push(describeAudience(before.visibility, after.visibility));
  if (after.title.trim() !== before.title) said.push("Pages that are open show the new title once they are loaded again.");
  return said;
}

/** What is written: words that stay as they were may have been changed on another page meanwhile. */
export function chooseChanges(before: LiveWords, after: LiveWords): Partial<LiveWords> {
  const title = after.title.trim();
  return {
    ...(title !== before.title && { title }),
    ...(after.visibility !== before.visibility && { visibility: after.visibility }),
  };
}

function describeAudience(before: Visibility, after: Visibility): string {
  if (after === "public" || after === "unlisted") return `Nobody who watches is cut off. ${OPEN[after]}`;
  if (before === "private") return "They can watch from now on.";
  return NARROWER[after] ?? "";
}
