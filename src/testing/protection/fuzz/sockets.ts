/**
 * The fuzz over WebSocket: windows of frames, each closed by a ping that must be answered, or by the close that a frame
 * which cannot be read must bring.
 * @module
 */
import { parseJson } from "../../../codec/json.ts";
import { decodeMsgpack } from "../../../codec/msgpack.ts";
import { unpackMsgpack } from "../../client.ts";
import { nextFrame } from "./frames.ts";
import type { Lane } from "./lane.ts";
import { packLoosely } from "./pack.ts";
import { within } from "./patience.ts";

const windowFrames = 24;
/** Frames on one connection; then a new one, so that subscriptions do not pile up. */
const connectionFrames = 500;
/** One in so many frames is of the wrong type for its subprotocol. */
const wrongTypeEvery = 400;
/** One in so many unreadable frames is sent by a patient lane. */
const unreadableEvery = 100;
const closeUnreadable = 1007;
const closeWrongType = 1003;
/** Bytes of a wrong answer that are shown. */
const shownBytes = 1000;

/**
 * Sends frames until nothing is left to send.
 * @param patient passes over most frames that cannot be read: they end the connection, and the requests before them
 *   would hardly ever come as far as their answers
 */
export const fuzzSocket = async (lane: Lane, json: boolean, patient: boolean): Promise<void> => {
  let more = true;
  while (more && lane.figures.failure === undefined) {
    const socket = new FuzzSocket(lane, json);
    try {
      await within("the welcome", socket.opened);
      more = await converse(lane, socket, () => chooseFrame(lane, json, patient), json);
    } catch (error) {
      lane.fail(error instanceof Error ? error.message : String(error));
    } finally {
      socket.close();
    }
  }
};

/** One connection; false when nothing is left to send. */
const converse = async (lane: Lane, socket: FuzzSocket, choose: () => Buffer, json: boolean): Promise<boolean> => {
  for (let sent = 0; sent < connectionFrames; ) {
    for (let window = 0; window < windowFrames; window++, sent++) {
      if (!lane.next()) {
        await socket.barrier();
        return false;
      }
      const frame = choose();
      const wrongType = lane.random.integer(1, wrongTypeEvery) === 1;
      lane.sending(frame);
      socket.send(frame, wrongType ? json : !json);
      const expected = wrongType ? closeWrongType : readable(frame, json) ? undefined : closeUnreadable;
      if (expected === undefined) continue;
      const code = await within("the close after an unreadable frame", socket.closed);
      if (code !== expected) lane.fail(`closed with ${code}, not ${expected}`);
      return true;
    }
    await socket.barrier();
  }
  return true;
};

const chooseFrame = ({ random }: Lane, json: boolean, patient: boolean): Buffer => {
  let frame = nextFrame(random, json);
  while (patient && !readable(frame, json) && random.integer(1, unreadableEvery) > 1) frame = nextFrame(random, json);
  return frame;
};

/** Whether the frame is one value; what it is above that is for the server to say. */
const readable = (frame: Buffer, json: boolean): boolean => {
  try {
    if (json) parseJson(frame.toString("utf8"));
    else decodeMsgpack(frame);
    return true;
  } catch {
    return false;
  }
};

class FuzzSocket {
  readonly opened: Promise<void>;
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  readonly #pongs = new Map<string, () => void>();
  #barriers = 0;

  constructor(
    private readonly lane: Lane,
    private readonly json: boolean,
  ) {
    const opened = Promise.withResolvers<undefined>();
    const closed = Promise.withResolvers<number>();
    this.opened = opened.promise;
    this.closed = closed.promise;
    this.#socket = new WebSocket(lane.server.wsUrl, json ? "mts.json.v1" : "mts.msgpack.v1");
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      opened.resolve(undefined);
      try {
        this.#receive(event.data);
      } catch (error) {
        const bytes = typeof event.data === "string" ? Buffer.from(event.data) : Buffer.from(event.data);
        lane.fail(`an answer that cannot be read: ${String(error)}: ${bytes.toString("hex", 0, shownBytes)}`);
      }
    };
    this.#socket.onclose = ({ code }) => {
      lane.figures.closes.add(String(code));
      closed.resolve(code);
      opened.reject(new Error(`closed with ${code} before the welcome`));
    };
    this.opened.catch(() => undefined);
  }

  send(frame: Uint8Array, binary: boolean): void {
    if (binary) this.#socket.send(new Uint8Array(frame));
    else this.#socket.send(Buffer.from(frame).toString("utf8"));
  }

  /** Resolves when the server has answered a ping behind everything that was sent. */
  async barrier(): Promise<void> {
    const id = `barrier ${this.#barriers++}`;
    const ping = { op: "ping", id };
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#pongs.set(id, () => resolve(undefined));
    this.send(this.json ? Buffer.from(JSON.stringify(ping)) : packLoosely(ping), !this.json);
    const closed = this.closed.then((code) => Promise.reject(new Error(`closed with ${code} on readable frames`)));
    closed.catch(() => undefined);
    await within("the answer to a ping", Promise.race([promise, closed]));
  }

  close(): void {
    this.#socket.close(1000);
  }

  #receive(data: string | ArrayBuffer): void {
    const frame = (
      typeof data === "string" ? JSON.parse(data) : unpackMsgpack(new Uint8Array(data), "answer")
    ) as Readonly<Record<string, unknown>>;
    const { op, id } = frame;
    if (op === "pong" && typeof id === "string") this.#pongs.get(id)?.();
    const name = op === "error" ? `error ${this.lane.refused(frame["code"], frame["detail"])}` : String(op);
    this.lane.figures.answers.add(name);
  }
}
