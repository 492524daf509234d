/**
 * What the two subprotocols have in common: how frames become values and answers become frames. Everything else of
 * the transport is the same for both.
 * @module
 */
import type { Delivery, Page } from "../../broker/contract.ts";
import { errorView, type View } from "../../codec/view.ts";
import type { Receipt } from "../../core/message.ts";

/** The client's own name for a request; a bigint above 2^53-1. */
export type FrameId = string | number | bigint;

/** One answer or push that waits to be encoded. */
export type Outgoing =
  | { readonly kind: "map"; readonly fields: View }
  | { readonly kind: "published"; readonly id: FrameId; readonly receipt: Receipt }
  | { readonly kind: "page"; readonly id: FrameId; readonly page: Page }
  | { readonly kind: "push"; readonly sid: number; readonly messages: readonly Delivery[] };

/** A frame on its way out; bytes are valid until the next one is encoded. */
export type EncodedFrame = string | Uint8Array<ArrayBuffer>;

/** A subprotocol. */
export interface Protocol {
  /** True when frames are binary, false when they are text. */
  readonly binary: boolean;
  /**
   * @param frame a string for a text frame, bytes for a binary one: the kind that `binary` says
   * @throws StreamError `malformed_body` unless it is exactly one value
   */
  decode(frame: string | Buffer): unknown;
  /** Hands the frames of one answer to `send`, in order; only a push may need more than one. */
  encode(outgoing: Outgoing, send: (frame: EncodedFrame) => void): void;
}

/** The `errors` of a page: messages that are there but cannot be read, as over HTTP; undefined when there are none. */
export const pageErrors = (page: Page): readonly View[] | undefined =>
  page.damaged.length === 0
    ? undefined
    : page.damaged.map(({ sequence, error }) => ({ ...errorView(error), sequence }));
