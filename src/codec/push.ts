/**
 * The push frame `{op: "messages", sid, messages: […]}` in both forms: tuples of six in msgpack, maps with the HTTP
 * field names in JSON.
 * @module
 */
import type { Delivery } from "../broker/contract.ts";
import { MsgpackWriter } from "./msgpack-writer.ts";
import { pointerView } from "./pointer.ts";
import { RecentEncodings } from "./recent.ts";
import { base64, hex } from "./view.ts";

/**
 * A frame that has this many bytes takes no further message. The largest message (a body of the size limit in base64,
 * 64 KiB of headers that JSON may escape six-fold) then still fits `max_frame_bytes`, which leaves 1 MiB beside it.
 */
export const pushFrameBytesEnough = 512 * 1024;

/** The longest head: three keys, "messages", a 64-bit sid and an array32 head. */
const headBytesMax = 64;
const tupleFields = 6;

/** Encodes pushes as msgpack. Not re-entered; frames are valid until the next call. */
export class MsgpackPushEncoder {
  private readonly writer = new MsgpackWriter();
  private readonly recent = new RecentEncodings<Uint8Array>();

  /**
   * Writes one message as `[subject, sequence, timestamp, headers, data, deliveries]`; a pointer, as a map, takes the
   * place of `data`.
   */
  tuple(writer: MsgpackWriter, message: Delivery): void {
    const kept = this.recent.find(message);
    if (kept !== undefined) writer.raw(kept);
    else this.freshTuple(writer, message);
    writer.number(message.deliveries);
  }

  /** `deliveries` differs between subscribers and is not part of what is kept. */
  private freshTuple(writer: MsgpackWriter, message: Delivery): void {
    const start = writer.length;
    writer.arrayHead(tupleFields);
    writer.string(message.subject);
    writer.number(message.sequence);
    writer.number(message.timestampMs);
    writer.strings(message.headers);
    if (message.pointer === undefined) writer.binary(message.body);
    else writer.value(pointerView(message.pointer));
    if (this.recent.wanted(message, writer.length - start)) this.recent.keep(message, writer.copy(start));
  }

  /** Hands out as few frames as the size allows, in order. */
  frames(sid: number, messages: readonly Delivery[], send: (frame: Uint8Array<ArrayBuffer>) => void): void {
    const { writer } = this;
    let next = 0;
    while (next < messages.length) {
      writer.reset();
      writer.skip(headBytesMax);
      const first = next;
      for (; next < messages.length && writer.length < pushFrameBytesEnough; next++) {
        const message = messages[next];
        if (message !== undefined) this.tuple(writer, message);
      }
      const end = writer.length;
      this.head(sid, next - first);
      const begin = writer.moveBefore(headBytesMax, end);
      send(writer.view(begin));
    }
  }

  private head(sid: number, count: number): void {
    const { writer } = this;
    writer.mapHead(3);
    writer.string("op");
    writer.string("messages");
    writer.string("sid");
    writer.number(sid);
    writer.string("messages");
    writer.arrayHead(count);
  }
}

/** Encodes pushes as JSON text. */
export class JsonPushEncoder {
  private readonly recent = new RecentEncodings<string>();

  /** One message as a map; bytes are always base64, so that a client has one case to handle. */
  message(message: Delivery): string {
    const start = this.recent.find(message) ?? this.freshStart(message);
    return `${start}${message.deliveries}}`;
  }

  private freshStart(message: Delivery): string {
    const { pointer, expiresAtMs } = message;
    const expires = expiresAtMs === undefined ? "" : `"expires_at":${expiresAtMs},`;
    const body =
      pointer === undefined
        ? `"data_base64":"${base64(message.body)}"`
        : `"pointer":${JSON.stringify(pointerView(pointer))}`;
    const start =
      `{"subject":${JSON.stringify(message.subject)},"sequence":${message.sequence},` +
      `"timestamp":${message.timestampMs},"headers":${JSON.stringify(message.headers)},` +
      `"size":${pointer === undefined ? message.body.length : pointer.size},` +
      `"sha256":"${hex(message.sha256)}",${expires}${body},"deliveries":`;
    if (this.recent.wanted(message, start.length)) this.recent.keep(message, start);
    return start;
  }

  /** Hands out as few frames as the size allows, in order. */
  frames(sid: number, messages: readonly Delivery[], send: (frame: string) => void): void {
    const open = `{"op":"messages","sid":${sid},"messages":[`;
    let parts: string[] = [];
    let bytes = 0;
    for (const message of messages) {
      const part = this.message(message);
      parts.push(part);
      bytes += Buffer.byteLength(part, "utf8");
      if (bytes < pushFrameBytesEnough) continue;
      send(`${open}${parts.join(",")}]}`);
      parts = [];
      bytes = 0;
    }
    if (parts.length > 0) send(`${open}${parts.join(",")}]}`);
  }
}
