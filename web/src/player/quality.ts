/** What of hls.js' levels is offered to people: one of each size, though several codecs have it. */

export interface QualityLevel {
  index: number;
  label: string;
}

interface Level {
  width: number;
  height: number;
  bitrate: number;
}

interface Offer {
  levels: QualityLevel[];
  /** Which offered level stands for each of all. */
  shown: Map<number, number>;
}

/** Of one size the lightest is offered: hls.js lists only what can be played. Sound alone has no sizes. */
export function offerLevels(all: readonly Level[]): Offer {
  const shown = new Map<number, number>();
  if (!all.every((level) => level.height > 0)) return { levels: [], shown };
  const lightest = new Map<string, number>();
  all.forEach((level, index) => {
    const label = nameSize(level);
    const known = lightest.get(label);
    if (known === undefined || level.bitrate < all[known]!.bitrate) lightest.set(label, index);
  });
  all.forEach((level, index) => shown.set(index, lightest.get(nameSize(level)) ?? index));
  return { levels: [...lightest].map(([label, index]) => ({ index, label })), shown };
}

function nameSize(level: Level): string {
  return `${Math.min(level.height, level.width)}p`;
}
