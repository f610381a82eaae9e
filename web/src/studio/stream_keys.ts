/** Stream keys are told once, when they are made. This tab remembers them until it is closed, so that a reload can go on. */

const PREFIX = "sf.key.";

export function keepStreamKey(liveId: string, key: string): void {
  sessionStorage.setItem(PREFIX + liveId, key);
}

export function findStreamKey(liveId: string): string | null {
  return sessionStorage.getItem(PREFIX + liveId);
}

export function forgetStreamKey(liveId: string): void {
  sessionStorage.removeItem(PREFIX + liveId);
}
