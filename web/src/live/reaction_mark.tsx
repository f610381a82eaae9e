/** The six reactions as the page's own drawings, so that they look the same on every machine. Decorative. */
import type { JSX } from "preact";
import type { Mark } from "./reaction_tally";

const FACE = <circle class="body" cx="12" cy="12" r="8.5" />;

const DRAWINGS: Record<Mark, JSX.Element> = {
  "❤️": <path class="body" d="M12 20S4 15.300 4 9.500A4.300 4.300 0 0 1 12 7.300 4.300 4.300 0 0 1 20 9.500C20 15.300 12 20 12 20z" />,
  "👏": (
    <>
      <path class="body" d="M9.500 20.500c-3 0-5.500-2.500-5.500-5.500v-4a1.300 1.300 0 0 1 2.600 0V7.500a1.300 1.300 0 0 1 2.600 0v-1a1.300 1.300 0 0 1 2.600 0v1.500a1.300 1.300 0 0 1 2.600 0V15c0 3-2 5.500-4.900 5.500z" />
      <path class="spark" d="M17 13.500v-5M19.500 3.500l-1.500 2M15.500 2.500v2.500M21.500 7.500l-2.300.700" />
    </>
  ),
  "😂": (
    <>
      {FACE}
      <path d="M7 10.500c.500-1 2-1 2.500 0M14.500 10.500c.500-1 2-1 2.500 0" />
      <path class="mouth" d="M7.500 13.500h9c-.400 2.500-2.300 4-4.500 4s-4.100-1.500-4.500-4z" />
    </>
  ),
  "😮": (
    <>
      {FACE}
      <path d="M9 9.500v.600M15 9.500v.600" />
      <ellipse class="mouth" cx="12" cy="15" rx="2" ry="2.500" />
    </>
  ),
  "🔥": (
    <>
      <path class="body" d="M12 3c.500 3.500 5.500 5.500 5.500 11a5.500 5.500 0 0 1-11 0c0-2.500 1.500-4 2.500-5.500.500 1.500 1 2 1.700 2.300C10.500 8 10.500 5 12 3z" />
      <path d="M12 19.500c-1.500 0-2.500-1-2.500-2.400s1.200-2 2.500-3.600c1.300 1.600 2.500 2.200 2.500 3.600s-1 2.400-2.500 2.400z" />
    </>
  ),
  "🎉": (
    <>
      <path class="body" d="M4 20.500 8.500 9l6.500 6.500z" />
      <path class="spark" d="M13.500 9.500c2-.500 2.500-2.500 1.500-5M15.500 12c1.500-1.500 3.500-1 5 0M9.500 5v.600M19 6.500h.600M18.500 16.500v.600" />
    </>
  ),
};

const COLOURS: Record<Mark, number> = { "❤️": 5, "👏": 3, "😂": 2, "😮": 7, "🔥": 6, "🎉": 4 };

export function ReactionMark({ mark, size }: { mark: Mark; size: number }) {
  return (
    <svg
      class="reaction-mark"
      style={{ "--ink": `var(--bar-${COLOURS[mark]})` }}
      width={size}
      height={size}
      viewBox="0 0 24 24"
      aria-hidden="true"
      focusable="false"
    >
      {DRAWINGS[mark]}
    </svg>
  );
}
