/** The page's own icons: 24-unit drawings in one stroke. Always decorative; the control around one is labelled. */

const DRAWINGS = {
  home: "M4 10.5 12 4l8 6.5V20h-5.5v-5.5h-5V20H4z",
  explore: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zm3.8 4.7-2.3 5.3-5.3 2.3 2.3-5.3z",
  live: "M12 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM7.8 7.8a6 6 0 0 0 0 8.4M16.2 7.8a6 6 0 0 1 0 8.4M5 5a10 10 0 0 0 0 14M19 5a10 10 0 0 1 0 14",
  studio: "M4 9.5h16V20H4zM4 9.5 5 5l15 1.5M8.6 5.4 7.6 9.5M13.6 6l-1 3.5",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4.5 20.5c.8-4 3.8-6 7.5-6s6.7 2 7.5 6",
  bell: "M6 16.500V11a6 6 0 0 1 12 0v5.500l1.5 2h-15zM10 21h4",
  heart: "M12 20S4 15.3 4 9.500A4.3 4.3 0 0 1 12 7.3 4.3 4.3 0 0 1 20 9.500C20 15.3 12 20 12 20z",
  comment: "M4 5h16v11h-8l-4.5 4v-4H4z",
  download: "M12 4v11M8 11.500l4 4 4-4M4.500 19.500h15",
  share: "M12 15V4M8 7.5 12 3.500l4 4M6 11H4.500v9.500h15V11H18",
  upload: "M12 16V5M7.5 9 12 4.5 16.5 9M4.5 15.500v4h15v-4",
  camera: "M3.5 7h11.500v10H3.500zM15 11l5.5-3.500v9L15 13z",
  screen: "M3.5 5h17v11h-17zM9 20h6",
  play: "M7.5 5v14l11-7z",
  pause: "M8 5v14M16 5v14",
  volume: "M4 9.500v5h3.500L12 18.500v-13L7.5 9.500zM15.5 9a4.5 4.5 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11",
  muted: "M4 9.500v5h3.500L12 18.500v-13L7.5 9.500zM16 9.500l5 5M21 9.500l-5 5",
  full: "M4.5 9.500v-5h5M14.5 4.500h5v5M19.5 14.500v5h-5M9.5 19.500h-5v-5",
  inset: "M3.500 5h17v14h-17zM12 12.500h6v4h-6z",
  clip: "M5 5.500h14v13H5zM9 5.500v13M15 5.500v13M5 12h14",
  quality: "M4 7h9M17 7h3M4 12h3M11 12h9M4 17h7M15 17h5M15 5v4M9 10v4M13 15v4",
  captions: "M3 5.500h18v13H3zM11 10.500a2.2 2.2 0 1 0 0 3M17 10.500a2.2 2.2 0 1 0 0 3",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h10.500v10.500H9zM15 9V4.500H4.500V15H9",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.500a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  gear: "M12 8.800a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.400zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.600l2.2 2.200M16.2 16.200l2.2 2.200M18.4 5.600l-2.2 2.200M7.8 16.200l-2.2 2.2",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2.500M12 19v2.500M2.5 12H5M19 12h2.500M5.3 5.3 7 7M17 17l1.7 1.700M18.7 5.3 17 7M7 17l-1.7 1.7",
  moon: "M19.5 14.500A8 8 0 0 1 9.5 4.500a8 8 0 1 0 10 10z",
  plus: "M12 5v14M5 12h14",
  retry: "M19 12a7 7 0 1 1-2.2-5.100M19.5 3.500v4.500H15",
  down: "M6 9.500l6 6 6-6",
  trash: "M5 7h14M9.5 7V4.500h5V7M7 7l1 13h8l1-13",
  edit: "M4.5 19.500l1-4L16 5l3 3L8.5 18.500zM14 7l3 3",
  out: "M10 4.500H4.500v15H10M9.5 12H20M16 8l4 4-4 4",
  shield: "M12 3.500l7 2.500v5.500c0 4.300-2.900 7.700-7 9-4.100-1.300-7-4.700-7-9V6zM9 12l2.200 2.200L15.300 10",
  horn: "M4 10v4h3l8 4.500v-13L7 10zM18 9.500a4 4 0 0 1 0 5M7.5 14.500 9 20h2.500l-1.200-4.500",
  people: "M9 5a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM2.500 19.500c.600-3.500 3.200-5 6.500-5s5.900 1.500 6.500 5M15.500 5.300a3.500 3.500 0 0 1 0 6.400M18 14.800c2 .700 3.200 2.200 3.500 4.700",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 7.500V12l3 2.500",
  list: "M4 6.500h10M4 12h10M4 17.500h6M17 11.500v8M13 15.500h8",
  theatre: "M3.500 6.500h17v11h-17z",
  up: "M6 14.500l6-6 6 6",
  grip: "M9 6h.01M9 12h.01M9 18h.01M15 6h.01M15 12h.01M15 18h.01",
  chart: "M4.500 4v15.500H20M8 16v-4M12 16V8M16 16v-6",
  more: "M5.500 11.300a.7.7 0 1 0 .01 0M12 11.300a.7.7 0 1 0 .01 0M18.500 11.300a.7.7 0 1 0 .01 0",
  tag: "M4 4h8l8 8-8 8-8-8zM8 8h.01",
  mic: "M12 3.500a3 3 0 0 0-3 3V11a3 3 0 0 0 6 0V6.500a3 3 0 0 0-3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.500V21",
} as const;

export type IconName = keyof typeof DRAWINGS;

const FILLED: ReadonlySet<IconName> = new Set(["play"]);

export function Icon({ name, size = 22, filled = false }: { name: IconName; size?: number; filled?: boolean }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill={filled || FILLED.has(name) ? "currentColor" : "none"}
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={DRAWINGS[name]} />
    </svg>
  );
}
