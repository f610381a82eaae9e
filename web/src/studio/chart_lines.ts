/** The geometry of a chart. Pure. */

/** A round number that no value exceeds. */
export function findTop(values: (number | null)[]): number {
  const most = Math.max(0, ...values.filter((value) => value !== null));
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= most) ?? 10;
  return step * power;
}

/** The path of one line; a hole where nothing is known, a dot for what stands alone. */
export function drawLine(values: (number | null)[], top: number, width: number, height: number): string {
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  let isDrawing = false;
  return values
    .map((value, index) => {
      if (value === null) {
        isDrawing = false;
        return "";
      }
      const place = `${(index * step).toFixed(1)} ${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`;
      const piece = isDrawing ? `L${place}` : `M${place}h0.1`;
      isDrawing = true;
      return piece;
    })
    .join("");
}
