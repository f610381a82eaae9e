/** The waveform of sound without a picture, from a JSON file of peaks; what has been played is lit. */
import { useEffect, useMemo, useState } from "preact/hooks";
import "./waveform.css";

const BARS_MAX = 200;

/** At most `count` peaks, 0 to 100, each the highest of its share of `peaks`. */
export function thinPeaks(peaks: readonly number[], count = BARS_MAX): number[] {
  const kept = Math.min(count, peaks.length);
  return Array.from({ length: kept }, (_, at) => {
    const from = Math.floor((at * peaks.length) / kept);
    const to = Math.floor(((at + 1) * peaks.length) / kept);
    return Math.max(...peaks.slice(from, to));
  });
}

function drawBars(peaks: readonly number[]): string {
  return peaks.map((peak, at) => `M${at + 0.5} ${50 - Math.max(1, peak / 2)}v${Math.max(2, peak)}`).join("");
}

export function Waveform({ address, share }: { address: string; share: number }) {
  const [peaks, setPeaks] = useState<number[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    fetch(address, { signal: stop.signal })
      .then((answer) => (answer.ok ? answer.json() : { peaks: [] }))
      .then((found: { peaks: number[] }) => setPeaks(thinPeaks(found.peaks)))
      .catch(() => undefined); // without it the sound still plays
    return () => stop.abort();
  }, [address]);
  const bars = useMemo(() => drawBars(peaks), [peaks]);
  if (peaks.length === 0) return null;
  const box = `0 0 ${peaks.length} 100`;
  return (
    <div class="waveform" aria-hidden="true" data-testid="waveform" style={{ "--played": `${share * 100}%` }}>
      <svg viewBox={box} preserveAspectRatio="none">
        <path d={bars} />
      </svg>
      <svg class="waveform-played" viewBox={box} preserveAspectRatio="none">
        <path d={bars} />
      </svg>
    </div>
  );
}
