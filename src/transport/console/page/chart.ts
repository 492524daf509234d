/**
 * Drawings: a line of the last minute beside a number, and stacked bars over time. Colours are the style sheet's.
 * @module
 */

import { s } from "./dom.ts";
import { formatCount, roundUp } from "./format.ts";

const sparkWidth = 96;
const sparkHeight = 24;

/** A small line; decoration, as the number stands beside it. */
export class Sparkline {
  readonly #line = s("polyline", { class: "spark-line" });
  readonly #area = s("polygon", { class: "spark-area" });
  readonly element = s(
    "svg",
    {
      class: "spark",
      viewBox: `0 0 ${sparkWidth} ${sparkHeight}`,
      width: sparkWidth,
      height: sparkHeight,
      "aria-hidden": "true",
    },
    this.#area,
    this.#line,
  );

  /** @param values the oldest first; drawn from the right */
  show(values: readonly number[], valuesMax = 60): void {
    const top = Math.max(1, ...values);
    const step = sparkWidth / (valuesMax - 1);
    const points = values.map((value, index) => {
      const x = sparkWidth - (values.length - 1 - index) * step;
      const y = sparkHeight - 2 - (value / top) * (sparkHeight - 4);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    });
    this.#line.setAttribute("points", points.join(" "));
    const firstX = points[0]?.split(",", 1)[0] ?? "0";
    this.#area.setAttribute(
      "points",
      [`${firstX},${sparkHeight}`, ...points, `${sparkWidth},${sparkHeight}`].join(" "),
    );
  }
}

/** One bar. */
export interface Bar {
  /** Below the axis, where there is room, and in the bar's title. */
  readonly label: string;
  /** From the bottom up, in the order of the series. */
  readonly values: readonly number[];
}

/** What stacked bars are drawn from. */
export interface BarChart {
  /** What the drawing says, for those who do not see it. */
  readonly summary: string;
  readonly series: readonly string[];
  readonly bars: readonly Bar[];
  readonly format?: (value: number) => string;
}

const width = 960;
const height = 260;
const left = 64;
const bottom = 28;
const top = 12;

/** Lines between nothing and the top. */
const ticks = 4;

/** Stacked bars with an axis of values and one of time. */
export const barChart = ({ summary, series, bars, format = formatCount }: BarChart): SVGElement => {
  const highest = Math.max(0, ...bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0)));
  // Each line has a round number of its own.
  const peak = ticks * roundUp(highest / ticks);
  const yOf = (value: number): number => height - bottom - (value / peak) * (height - bottom - top);
  const slot = (width - left - 8) / Math.max(1, bars.length);
  const lines = Array.from({ length: ticks + 1 }, (_, index) => {
    const share = index / ticks;
    const y = yOf(peak * share);
    return s(
      "g",
      {},
      s("line", { class: "grid", x1: left, x2: width, y1: y, y2: y }),
      s("text", { class: "tick", x: left - 8, y: y + 4, "text-anchor": "end" }, format(peak * share)),
    );
  });
  const every = Math.max(1, Math.ceil(bars.length / 8));
  const drawn = bars.map(({ label, values }, index) => {
    let below = 0;
    const x = left + index * slot;
    const parts = values.map((value, at) => {
      const y = yOf(below + value);
      const tall = yOf(below) - y;
      below += value;
      const part = { x: x + slot * 0.12, y, width: slot * 0.76, height: tall, class: `series-${at}` };
      return value > 0 ? s("rect", part) : undefined;
    });
    const told = values.map((value, at) => `${series[at] ?? ""} ${format(value)}`).join(", ");
    const tick =
      index % every === 0
        ? s("text", { class: "tick", x: x + slot / 2, y: height - 8, "text-anchor": "middle" }, label)
        : undefined;
    return s("g", { class: "bar-slot" }, s("title", {}, `${label}: ${told}`), hitArea(x, slot), parts, tick);
  });
  return s(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary },
    lines,
    drawn,
  );
};

/** So that the title shows over the whole column. */
const hitArea = (x: number, slot: number): SVGElement =>
  s("rect", { class: "hit", x, y: top, width: slot, height: height - bottom - top });
