/** A small chart of lines over time. The numbers behind it stand in a table beside it (`points_table.tsx`). */
import { formatClock } from "../kit/words";
import { drawLine, findTop } from "./chart_lines";
import "./chart.css";

export interface Line {
  name: string;
  /** One per moment; null: nobody knows, and the line has a hole. */
  values: (number | null)[];
}

interface ChartProps {
  title: string;
  times: string[];
  lines: Line[];
  format: (value: number) => string;
}

const WIDTH = 600;
const HEIGHT = 120;

export function Chart({ title, times, lines, format }: ChartProps) {
  const top = findTop(lines.flatMap((line) => line.values));
  const label = lines
    .map(({ name, values }) => {
      const known = values.filter((value) => value !== null);
      const last = known.at(-1);
      if (last === undefined) return `${name}: nothing known`;
      return `${name}: ${format(last)} at the end, ${format(Math.max(...known))} at most`;
    })
    .join("; ");
  return (
    <figure class="chart">
      <figcaption class="row tight">
        <h3>{title}</h3>
        {lines.length > 1 && (
          <ul class="chart-names data" aria-hidden="true">
            {lines.map(({ name }, index) => (
              <li key={name} class={`line-${index + 1}`}>
                {name}
              </li>
            ))}
          </ul>
        )}
      </figcaption>
      <div class="chart-plot">
        <span class="chart-top data muted" aria-hidden="true">
          {format(top)}
        </span>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${title}. ${label}`}>
          <path class="chart-grid" d={`M0 1H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 1}H${WIDTH}`} />
          {lines.map(({ name, values }, index) => (
            <path key={name} class={`chart-line line-${index + 1}`} d={drawLine(values, top, WIDTH, HEIGHT)} />
          ))}
        </svg>
      </div>
      <p class="chart-times data muted" aria-hidden="true">
        <span>{formatClock(times[0] ?? "")}</span>
        <span>{formatClock(times.at(-1) ?? "")}</span>
      </p>
    </figure>
  );
}
