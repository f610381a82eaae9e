/** What leaves this machine, once a second: bitrate, frames, size, round trip. */
import { useEffect, useState } from "preact/hooks";
import type { PublishStats, WhipPublisher } from "../kit/whip";
import { formatBitrate } from "../kit/words";

const EVERY_MS = 1_000;

export function BroadcastStats({ publisher }: { publisher: WhipPublisher | null }) {
  const [stats, setStats] = useState<PublishStats | null>(null);
  useEffect(() => {
    setStats(null);
    if (!publisher) return undefined;
    const timer = setInterval(() => void publisher.readStats().then(setStats, () => setStats(null)), EVERY_MS);
    return () => clearInterval(timer);
  }, [publisher]);
  const figures: [string, string][] = [
    ["Bitrate", stats ? formatBitrate(stats.bitrateBps) : "0 kbit/s"],
    ["Frames", stats ? `${stats.framesPerSecond} fps` : "0 fps"],
    ["Picture", stats && stats.height > 0 ? `${stats.width} × ${stats.height}` : "none"],
    ["Round trip", stats?.roundTripMs != null ? `${stats.roundTripMs} ms` : "none"],
  ];
  return (
    <dl class="figures" data-testid="publish-stats">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
