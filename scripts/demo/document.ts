/**
 * The documents: what an accounting system of a head office would send to its branches, of any length.
 * @module
 */
import { SeededRandom } from "../../src/testing/faults/random.ts";

/** One position of a document; amounts in cents. */
export interface Line {
  readonly article: string;
  readonly name: string;
  readonly quantity: number;
  readonly priceCents: number;
  readonly batch: string;
}

/** A document as it travels, in JSON. */
export interface Document {
  readonly number: number;
  readonly kind: "price-list";
  readonly issuedAt: string;
  readonly totalCents: number;
  readonly lines: readonly Line[];
}

const words = ["bolt", "cable", "valve", "pump", "filter", "gasket", "relay", "sensor", "болт", "кабель"] as const;

/** The document of this number; the same for the same seed. Its JSON has so many bytes, or a few more. */
export const makeDocument = (seed: number, number: number, bytes: number): Document => {
  const random = new SeededRandom(seed * 1_000_003 + number);
  const hex = (): string => random.integer(0, 0xffff_ffff).toString(16).padStart(8, "0");
  const lines: Line[] = [];
  for (let left = bytes; left > 0; ) {
    const name = `${words[random.integer(0, words.length - 1)] ?? ""} ${random.integer(1, 999)}`;
    const [quantity, priceCents] = [random.integer(1, 500), random.integer(1, 1_000_000)];
    const article = `A-${number}-${lines.length}`;
    const line = { article, name, quantity, priceCents, batch: `${hex()}${hex()}${hex()}` };
    lines.push(line);
    left -= JSON.stringify(line).length + 1;
  }
  const issuedAt = new Date(Date.UTC(2026, 0, 1) + number * 60_000).toISOString();
  return { number, kind: "price-list", issuedAt, totalCents: totalOf(lines), lines };
};

/** The sum over all lines, which fits exactly for any document that fits in memory. */
export const totalOf = (lines: readonly Line[]): number =>
  lines.reduce((sum, { quantity, priceCents }) => sum + quantity * priceCents, 0);

/** SHA-256 in lower-case hex. */
export const sha256Hex = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
