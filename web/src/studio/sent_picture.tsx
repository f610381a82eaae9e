/** How large a broadcast from this browser is and what it may take; remembered on this device. */
import type { LargestPicture } from "../kit/encodings";
import { Field } from "../kit/field";
import { Store, useStore } from "../kit/store";

export interface SentPicture {
  name: string;
  width: number;
  height: number;
  bitrateBps: number;
}

const KEY = "studio-picture";
const HD: SentPicture = { name: "720p", width: 1280, height: 720, bitrateBps: 2_500_000 };

/** The largest first. With its smaller encodings each stays below what an edge takes (`publisher_bitrate_max_bps`). */
export const SENT_PICTURES: readonly SentPicture[] = [
  { name: "1080p", width: 1920, height: 1080, bitrateBps: 4_000_000 },
  HD,
  // Even when halved, which 854 is not.
  { name: "480p", width: 848, height: 480, bitrateBps: 1_200_000 },
  { name: "360p", width: 640, height: 360, bitrateBps: 800_000 },
];

export const sentPicture = new Store<SentPicture>(findPicture(readKept()));

function readKept(): string | null {
  return typeof localStorage === "undefined" ? null : localStorage.getItem(KEY);
}

/** The picture of that name; the usual one for a name that is not known. */
export function findPicture(name: string | null): SentPicture {
  return SENT_PICTURES.find((picture) => picture.name === name) ?? HD;
}

/** What is asked of the camera: the choice, or the smallest one that has as many lines. */
export function decideAsked(chosen: SentPicture, linesMin: number): SentPicture {
  if (chosen.height >= linesMin) return chosen;
  return SENT_PICTURES.findLast((picture) => picture.height >= linesMin) ?? chosen;
}

/** What the largest encoding may be; a screen keeps its own size. */
export function decideLargest(chosen: SentPicture, isScreen: boolean): LargestPicture {
  return { bitrateBps: chosen.bitrateBps, linesMax: isScreen ? Infinity : chosen.height };
}

/** `onChoose` hears of it once the choice stands. */
export function SentPictureField({ onChoose }: { onChoose: () => void }) {
  const chosen = useStore(sentPicture);
  const choose = (name: string) => {
    localStorage.setItem(KEY, name);
    sentPicture.set(findPicture(name));
    onChoose();
  };
  return (
    <Field label="Picture">
      {(props) => (
        <select {...props} class="input" value={chosen.name} onChange={(event) => choose(event.currentTarget.value)}>
          {SENT_PICTURES.map(({ name, bitrateBps }) => (
            <option key={name} value={name}>
              {name}, {bitrateBps / 1_000_000} Mbit/s
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
