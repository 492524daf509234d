/**
 * Latency histograms: microseconds with three significant digits, up to one hour.
 * @module
 */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js";

/** An hour; whatever takes longer counts as that. */
const highestUs = 3_600_000_000;

/** Percentiles in microseconds. */
export interface LatencySummary {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p99_9: number;
  readonly max: number;
  readonly mean: number;
}

/** Counts latencies. */
export class Latency {
  #histogram: Histogram = build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: highestUs,
    numberOfSignificantValueDigits: 3,
  });

  record(us: number): void {
    this.#histogram.recordValue(us < 1 ? 1 : us > highestUs ? highestUs : Math.round(us));
  }

  /** Adds what another one counted. */
  add(other: Latency): void {
    this.#histogram.add(other.#histogram);
  }

  /** As text, to be sent to another process. */
  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }

  /** What `encode` made. */
  static decode(text: string): Latency {
    const latency = new Latency();
    if (text !== "") latency.#histogram.add(decodeFromCompressedBase64(text, 32));
    return latency;
  }

  /** Undefined when nothing was recorded. */
  summary(): LatencySummary | undefined {
    const histogram = this.#histogram;
    if (histogram.totalCount === 0) return undefined;
    return {
      p50: histogram.getValueAtPercentile(50),
      p90: histogram.getValueAtPercentile(90),
      p99: histogram.getValueAtPercentile(99),
      p99_9: histogram.getValueAtPercentile(99.9),
      max: histogram.maxValue,
      mean: Math.round(histogram.mean),
    };
  }
}
