/** What a key does to the player. Pure. */

export type PlayerCommand =
  | { kind: "toggle" }
  | { kind: "seek"; bySeconds: number }
  | { kind: "volume"; by: number }
  | { kind: "mute" }
  | { kind: "full" }
  | { kind: "theatre" }
  | { kind: "inset" }
  | { kind: "speed"; steps: 1 | -1 }
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
  t: { kind: "theatre" },
  i: { kind: "inset" },
  p: { kind: "inset" },
  ">": { kind: "speed", steps: 1 },
  "<": { kind: "speed", steps: -1 },
  Home: { kind: "jump", share: 0 },
  End: { kind: "jump", share: 1 },
};

export const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2] as const;

/** The speed so many steps away, within the list. */
export function stepSpeed(speed: number, steps: number): number {
  const index = SPEEDS.findIndex((known) => known >= speed);
  return SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, index + steps))] ?? 1;
}

/** What has the focus. */
export type KeyRole = "player" | "slider" | "list" | "button" | "page";

/** Null when the key is not ours: controls keep the keys they use themselves. */
export function decideCommand(key: string, role: KeyRole): PlayerCommand | null {
  const command = COMMANDS[key] ?? COMMANDS[key.toLowerCase()] ?? null;
  if (command === null) return null;
  const isLetter = key.length === 1 && key !== " ";
  if ((role === "button" || role === "list") && key === " ") return null;
  if ((role === "slider" || role === "list") && !isLetter && key !== " ") return null;
  // Arrows, Home and End scroll the page unless the player itself has the focus.
  if (role === "page" && key.length > 1 && key !== "ArrowLeft" && key !== "ArrowRight") return null;
  return command;
}
