/** Stream keys are told once, when they are made. This tab remembers them until it is closed, so that a reload can go on. */

const PREFIX = "sf.key.";

export function keepStreamKey(liveId: string, key: string): void {
  sessionStorage.setItem(PREFIX + liveId, key);
}

/** The key this tab knows, unless it was replaced or revoked elsewhere: `hint` is how the present one ends. */
export function findStreamKey(liveId: string, hint: string | null): string | null {
  const known = sessionStorage.getItem(PREFIX + liveId);
  return hint !== null && known?.endsWith(hint) ? known : null;
}

export function forgetStreamKey(liveId: string): void {
  sessionStorage.removeItem(PREFIX + liveId);
}
