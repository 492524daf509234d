/**
 * What a branch is told, and what it says: the messages between its process and the one that started it.
 * @module
 */

/** Who a branch is and how it works. */
export interface BranchPlan {
  readonly name: string;
  readonly url: string;
  readonly subject: string;
  /** File of its books: a line for every document that it has booked. */
  readonly booksPath: string;
  /** What a document takes longer than needed, in milliseconds. */
  readonly slowMs: number;
  /** Stands still in the middle of this document, counted from its start, until it is killed; 0 for never. */
  readonly holdAt: number;
}

/** A document as a branch has booked it. */
export interface Booking {
  readonly sequence: number;
  /** Number of the document. */
  readonly number: number;
  readonly totalCents: number;
  /** Of the unpacked JSON. */
  readonly sha256: string;
}

/** What a branch is told. */
export type BranchOrder = { readonly kind: "begin"; readonly plan: BranchPlan } | { readonly kind: "stop" };

/** What a branch says. */
export type BranchReport =
  | { readonly kind: "ready" }
  | { readonly kind: "received"; readonly sequence: number; readonly deliveries: number }
  /** Length and SHA-256 of the downloaded bytes are those of the pointer. */
  | { readonly kind: "verified"; readonly sequence: number; readonly bytes: number }
  /** It is in the middle of this document and does not go on. */
  | { readonly kind: "holding"; readonly sequence: number }
  | { readonly kind: "booked"; readonly booking: Booking }
  /** Unix milliseconds, with their fraction. */
  | { readonly kind: "acked"; readonly sequence: number; readonly atMs: number }
  | { readonly kind: "failed"; readonly detail: string };
