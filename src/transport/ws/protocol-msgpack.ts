/**
 * `mts.msgpack.v1`: binary frames.
 * @module
 */
import type { Page } from "../../broker/contract.ts";
import { decodeMsgpack } from "../../codec/msgpack.ts";
import { MsgpackWriter } from "../../codec/msgpack-writer.ts";
import { MsgpackPushEncoder } from "../../codec/push.ts";
import type { Receipt } from "../../core/message.ts";
import { type EncodedFrame, type FrameId, type Outgoing, type Protocol, pageErrors } from "./protocol.ts";

/** Encodes into one buffer that all connections share: a frame is copied by the socket as it is sent. */
export class MsgpackProtocol implements Protocol {
  readonly binary = true;
  private readonly writer = new MsgpackWriter();
  private readonly pushes = new MsgpackPushEncoder();

  /** Bodies in the value are views of the frame: Bun gives every message a buffer of its own and never reuses it. */
  decode(frame: string | Buffer): unknown {
    return decodeMsgpack(frame as Buffer);
  }

  encode(outgoing: Outgoing, send: (frame: EncodedFrame) => void): void {
    if (outgoing.kind === "push") {
      this.pushes.frames(outgoing.sid, outgoing.messages, send);
      return;
    }
    const { writer } = this;
    writer.reset();
    if (outgoing.kind === "published") this.published(outgoing.id, outgoing.receipt);
    else if (outgoing.kind === "page") this.page(outgoing.id, outgoing.page);
    else writer.value(outgoing.fields);
    send(writer.view());
  }

  /** The one answer that comes a hundred thousand times a second; a generic map would cost twice as much. */
  private published(id: FrameId, receipt: Receipt): void {
    const { writer } = this;
    writer.mapHead(6);
    writer.string("op");
    writer.string("published");
    writer.string("id");
    writer.value(id);
    writer.string("subject");
    writer.string(receipt.subject);
    writer.string("sequence");
    writer.number(receipt.sequence);
    writer.string("timestamp");
    writer.number(receipt.timestampMs);
    writer.string("duplicate");
    writer.boolean(receipt.duplicate);
  }

  private page(id: FrameId, page: Page): void {
    const { writer } = this;
    const errors = pageErrors(page);
    writer.mapHead(errors === undefined ? 7 : 8);
    writer.string("op");
    writer.string("messages");
    writer.string("id");
    writer.value(id);
    writer.string("epoch");
    writer.string(page.epoch);
    writer.string("messages");
    writer.arrayHead(page.messages.length);
    for (const message of page.messages) this.pushes.tuple(writer, message);
    writer.string("first_sequence");
    writer.number(page.firstSequence);
    writer.string("last_sequence");
    writer.number(page.lastSequence);
    writer.string("next_sequence");
    writer.number(page.nextSequence);
    if (errors === undefined) return;
    writer.string("errors");
    writer.value(errors);
  }
}
