/** How long a chosen file plays, as far as this browser reads it: what is too long need not be sent. */

const PATIENCE_MS = 3_000;

/** Milliseconds; null where the browser does not know the file's kind, or takes too long over it. */
export function readLengthMs(file: File): Promise<number | null> {
  const player = document.createElement("video");
  const address = URL.createObjectURL(file);
  player.preload = "metadata";
  player.muted = true;
  return new Promise<number | null>((resolve) => {
    const end = (lengthS: number) => {
      clearTimeout(timer);
      player.onloadedmetadata = player.onerror = null;
      player.removeAttribute("src");
      player.load();
      URL.revokeObjectURL(address);
      // A recording that was never closed has no length: it says Infinity.
      resolve(Number.isFinite(lengthS) && lengthS > 0 ? Math.round(lengthS * 1000) : null);
    };
    const timer = setTimeout(() => end(Number.NaN), PATIENCE_MS);
    player.onloadedmetadata = () => end(player.duration);
    player.onerror = () => end(Number.NaN);
    player.src = address;
  });
}
