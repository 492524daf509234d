/**
 * The fuzz below the protocols' own clients: WebSocket frames with wrong heads, and HTTP requests with wrong bytes.
 * What they must do is little: end, and leave the server as it was.
 * @module
 */
import { RawSocket, takeHead } from "../../raw-socket.ts";
import { rawUpgrade } from "../../raw-ws.ts";
import { realRequest } from "./corpus.ts";
import { nextFrame } from "./frames.ts";
import type { Lane } from "./lane.ts";
import { mutateBytes, randomBytes } from "./mutate.ts";
import { within } from "./patience.ts";

/** How long an answer is waited for where none may come: the server waits for bytes that a wrong length announced. */
const silentTicks = 2;
/** Ticks for what must come. */
const framesMax = 6;

/** Sends WebSocket frames with spoilt heads until nothing is left to send. */
export const fuzzFrameHeads = async (lane: Lane): Promise<void> => {
  let more = true;
  while (more && lane.figures.failure === undefined) {
    try {
      const json = lane.random.integer(0, 1) === 0;
      const protocol = `Sec-WebSocket-Protocol: ${json ? "mts.json.v1" : "mts.msgpack.v1"}`;
      const { socket } = await within("the upgrade", rawUpgrade(lane.server.wsUrl, [protocol]));
      for (let frames = lane.random.integer(1, framesMax); frames > 0; frames--) {
        more = lane.next();
        if (!more) break;
        const frame = spoiltFrame(lane, json);
        lane.sending(frame);
        socket.write(frame);
      }
      const ended = await over(socket.closed);
      lane.figures.closes.add(ended ? "wrong head: ended by the server" : "wrong head: waits for more");
      socket.destroy(lane.random.integer(0, 1) === 0 ? "fin" : "reset");
    } catch (error) {
      lane.fail(error instanceof Error ? error.message : String(error));
    }
  }
};

const over = (closed: Promise<void>): Promise<boolean> =>
  within(
    "the end",
    closed.then(() => true),
    silentTicks,
  ).catch(() => false);

/** Opcodes, reserved bits, masks, lengths and fragments by chance; a payload that may be real. */
const spoiltFrame = ({ random }: Lane, json: boolean): Buffer => {
  const payload = nextFrame(random, json).subarray(0, 60_000);
  const final = random.integer(0, 2) > 0 ? 0x80 : 0;
  const reserved = random.integer(0, 5) === 0 ? random.integer(0, 7) << 4 : 0;
  const opcode = random.integer(0, 2) === 0 ? random.integer(0, 15) : json ? 1 : 2;
  const masked = random.integer(0, 9) === 0 ? 0 : 0x80;
  const claimed = random.integer(0, 3) === 0 ? random.integer(0, 100_000) : payload.length;
  const wide = random.integer(0, 9) === 0;
  const length = wide ? Buffer.alloc(9) : claimed < 126 ? Buffer.alloc(1) : Buffer.alloc(3);
  if (wide) {
    length[0] = masked | 127;
    length.writeBigUInt64BE(random.integer(0, 1) === 0 ? BigInt(claimed) : 2n ** 63n + 5n, 1);
  } else if (length.length === 1) length[0] = masked | claimed;
  else {
    length[0] = masked | 126;
    length.writeUInt16BE(claimed & 0xffff, 1);
  }
  const mask = masked === 0 ? Buffer.alloc(0) : randomBytes(random, 4);
  const body = mask.length === 0 ? payload : payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  const frame = Buffer.concat([Buffer.from([final | reserved | opcode]), length, mask, body]);
  return random.integer(0, 3) === 0 ? mutateBytes(random, frame, frame) : frame;
};

/** Sends HTTP requests with spoilt bytes until nothing is left to send. */
export const fuzzRequestBytes = async (lane: Lane): Promise<void> => {
  while (lane.figures.failure === undefined && lane.next()) {
    try {
      const bytes = spoiltRequest(lane);
      lane.sending(bytes);
      const socket = await within("a connection", RawSocket.connect(lane.server.url));
      socket.write(bytes);
      const head = await within("a head", takeHead(socket), silentTicks).catch(() => "waits for more" as const);
      const status = head === undefined ? "ended" : typeof head === "string" ? head : String(head.status);
      lane.figures.statuses.add(`wrong bytes: ${status}`);
      if (status === "500") lane.fail("a request with wrong bytes was answered with 500");
      socket.destroy(lane.random.integer(0, 1) === 0 ? "fin" : "reset");
    } catch (error) {
      lane.fail(error instanceof Error ? error.message : String(error));
    }
  }
};

const upgradeLines = [
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Protocol: mts.json.v1",
];

const spoiltRequest = ({ random, server }: Lane): Buffer => {
  const real = realRequest(random);
  const upgrade = random.integer(0, 4) === 0;
  const { host } = new URL(server.url);
  const body = real.body === undefined ? "" : JSON.stringify(real.body);
  const length = random.integer(0, 4) === 0 ? random.integer(0, 100_000) : Buffer.byteLength(body);
  const chunked = random.integer(0, 5) === 0;
  const lines = [
    `${upgrade ? "GET /v1/ws" : `${real.method} ${real.path}`} HTTP/1.1`,
    `Host: ${host}`,
    ...Object.entries(real.headers).map(([name, value]) => `${name}: ${value}`),
    ...(upgrade ? upgradeLines : chunked ? ["Transfer-Encoding: chunked"] : [`Content-Length: ${length}`]),
  ];
  const text = chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
  const whole = Buffer.from(`${lines.join("\r\n")}\r\n\r\n${text}`, "utf8");
  return mutateBytes(random, whole, randomBytes(random, 40));
};
