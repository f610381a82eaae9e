/** A person's mark: initials on a colour that always belongs to the same name. Decorative; the name stands beside it. */
import "./avatar.css";

const COLOURS = 6;

/** Which of the six colours a username has. */
export function decideColour(username: string): number {
  let hash = 0x811c9dc5; // FNV-1a: near names get far colours
  for (const character of username) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return (((hash >>> 16) ^ hash) >>> 0) % COLOURS;
}

/** One or two letters. */
export function readInitials(name: string): string {
  const words = name
    .trim()
    .split(/[\s_.-]+/)
    .filter((word) => word !== "");
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => [...(word ?? "")][0]?.toUpperCase() ?? "").join("") || "?";
}

export interface Named {
  username: string;
  display_name: string;
}

/** What to call somebody. */
export function nameOf(user: Named): string {
  return user.display_name || user.username;
}

export function Avatar({ user, size = 40 }: { user: Named; size?: number }) {
  return (
    <span class={`avatar c${decideColour(user.username)}`} style={{ "--size": `${size}px` }} aria-hidden="true">
      {readInitials(nameOf(user))}
    </span>
  );
}
