/** What a key does to the player. Pure. */

export type PlayerCommand =
  | { kind: "toggle" }
  | { kind: "seek"; bySeconds: number }
  | { kind: "volume"; by: number }
  | { kind: "mute" }
  | { kind: "full" }
  | { kind: "jump"; share: number };

const COMMANDS: Record<string, PlayerCommand> = {
  " ": { kind: "toggle" },
  k: { kind: "toggle" },
  ArrowLeft: { kind: "seek", bySeconds: -5 },
  ArrowRight: { kind: "seek", bySeconds: 5 },
  j: { kind: "seek", bySeconds: -10 },
  l: { kind: "seek", bySeconds: 10 },
  ArrowUp: { kind: "volume", by: 0.1 },
  ArrowDown: { kind: "volume", by: -0.1 },
  m: { kind: "mute" },
  f: { kind: "full" },
  Home: { kind: "jump", share: 0 },
  End: { kind: "jump", share: 1 },
};

/** Null when the key is not ours. `role` is what has the focus: controls keep the keys they use themselves. */
export function decideCommand(key: string, role: "player" | "slider" | "button" | "page"): PlayerCommand | null {
  const command = COMMANDS[key] ?? COMMANDS[key.toLowerCase()] ?? null;
  if (command === null) return null;
  const isLetter = key.length === 1 && key !== " ";
  if (role === "button" && key === " ") return null;
  if (role === "slider" && !isLetter && key !== " ") return null;
  // Arrows, Home and End scroll the page unless the player itself has the focus.
  if (role === "page" && key.length > 1 && key !== "ArrowLeft" && key !== "ArrowRight") return null;
  return command;
}
