/**
 * `mts.json.v1`: text frames.
 * @module
 */
import type { Page } from "../../broker/contract.ts";
import { parseJson } from "../../codec/json.ts";
import { JsonPushEncoder } from "../../codec/push.ts";
import { receiptView } from "../../codec/view.ts";
import { type EncodedFrame, type FrameId, type Outgoing, type Protocol, pageErrors } from "./protocol.ts";

/** Encodes to JSON; bytes always as base64. */
export class JsonProtocol implements Protocol {
  readonly binary = false;
  private readonly pushes = new JsonPushEncoder();

  decode(frame: string | Buffer): unknown {
    return parseJson(frame as string);
  }

  encode(outgoing: Outgoing, send: (frame: EncodedFrame) => void): void {
    switch (outgoing.kind) {
      case "push":
        this.pushes.frames(outgoing.sid, outgoing.messages, send);
        break;
      case "published":
        send(JSON.stringify({ op: "published", id: outgoing.id, ...receiptView(outgoing.receipt) }));
        break;
      case "page":
        send(this.page(outgoing.id, outgoing.page));
        break;
      case "map":
        send(JSON.stringify(outgoing.fields));
        break;
    }
  }

  /** Pieced together, so that messages kept from pushes are used again. */
  private page(id: FrameId, page: Page): string {
    const errors = pageErrors(page);
    const head = JSON.stringify({ op: "messages", id, epoch: page.epoch });
    const ends = JSON.stringify({
      first_sequence: page.firstSequence,
      last_sequence: page.lastSequence,
      next_sequence: page.nextSequence,
      ...(errors === undefined ? {} : { errors }),
    });
    const messages = page.messages.map((message) => this.pushes.message(message)).join(",");
    return `${head.slice(0, -1)},"messages":[${messages}],${ends.slice(1)}`;
  }
}
