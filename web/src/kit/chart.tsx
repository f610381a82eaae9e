/**
 * One line of numbers as a picture, with the same numbers as a table for whoever does not see it. Draws with the
 * theme's own colours; the picture fills its column and keeps its height.
 */
import { useId } from "preact/hooks";
import "./chart.css";

export interface ChartPoint {
  label: string;
  value: number;
}

interface ChartProps {
  title: string;
  points: readonly ChartPoint[];
  format?: (value: number) => string;
  /** The top of the scale; without it the largest value. */
  most?: number;
}

const WIDTH = 600;
const HEIGHT = 160;

/** The line through the points, from left to right, as SVG path commands. Pure. */
export function drawLine(values: readonly number[], most: number): string {
  const step = values.length > 1 ? WIDTH / (values.length - 1) : 0;
  const top = most > 0 ? most : 1;
  return values
    .map((value, index) => `${index === 0 ? "M" : "L"}${round(index * step)} ${round(HEIGHT - (value / top) * HEIGHT)}`)
    .join("");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export function Chart({ title, points, format = String, most }: ChartProps) {
  const id = useId();
  const values = points.map((point) => point.value);
  const top = most ?? Math.max(1, ...values);
  const line = drawLine(values, top);
  return (
    <figure class="chart" aria-labelledby={id} data-testid="chart">
      <figcaption id={id}>{title}</figcaption>
      <div class="chart-plot" aria-hidden="true">
        <span class="chart-top data">{format(top)}</span>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none">
          <path class="chart-area" d={`${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} />
          <path class="chart-line" d={line} />
        </svg>
      </div>
      <p class="chart-ends data muted" aria-hidden="true">
        <span>{points[0]?.label}</span>
        <span>{points.at(-1)?.label}</span>
      </p>
      <div class="visually-hidden">
        <table>
          <caption>{title}</caption>
          <tbody>
            {points.map((point) => (
              <tr key={point.label}>
                <th scope="row">{point.label}</th>
                <td>{format(point.value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
