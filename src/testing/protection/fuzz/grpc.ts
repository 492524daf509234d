/**
 * The fuzz on the gRPC port: HTTP/2 connections whose bytes, frames, headers and protobuf messages are spoilt. Between
 * them a call that is well formed must be answered.
 * @module
 */
import type { SeededRandom } from "../../faults/random.ts";
import { RawSocket } from "../../raw-socket.ts";
import type { Lane } from "./lane.ts";
import { mutateBytes, randomBytes } from "./mutate.ts";
import { within } from "./patience.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const type = { data: 0, headers: 1, rst: 3, settings: 4, continuation: 9 } as const;
const endStream = 1;
const endHeaders = 4;
const callsMax = 6;
/** Spoilt connections between two that are well formed. */
const spoiltConnections = 20;
/** How long the end is waited for where the server may be waiting for more. */
const silentTicks = 1;

const methods = [
  "minitoolstream.IngressService/Publish",
  "minitoolstream.EgressService/GetLastSequence",
  "minitoolstream.EgressService/Fetch",
  "minitoolstream.EgressService/Subscribe",
  "minitoolstream.EgressService/AckMessage",
  ...["Publish", "PublishBatch", "Read", "Fetch", "Peek", "Ack", "Nack", "Subscribe"].map(
    (method) => `minitoolstream.v1.StreamService/${method}`,
  ),
  "grpc.health.v1.Health/Check",
  "grpc.health.v1.Health/Watch",
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/** Sends calls until nothing is left to send. */
export const fuzzGrpc = async (lane: Lane): Promise<void> => {
  let more = true;
  for (let connections = 0; more && lane.figures.failure === undefined; connections++) {
    try {
      if (connections % spoiltConnections === 0) await wellFormedCall(lane);
      more = await spoiltConnection(lane);
    } catch (error) {
      lane.fail(error instanceof Error ? error.message : String(error));
    }
  }
};

const open = (lane: Lane): Promise<RawSocket> =>
  within("a connection to the gRPC port", RawSocket.connect(`http://${lane.server.grpcTarget}`));

/** False when nothing is left to send. */
const spoiltConnection = async (lane: Lane): Promise<boolean> => {
  const { random, figures } = lane;
  const socket = await open(lane);
  socket.write(random.integer(0, 30) === 0 ? mutateBytes(random, preface, preface) : preface);
  socket.write(frame(type.settings, 0, 0, Buffer.alloc(0)));
  let more = true;
  const calls = random.integer(1, callsMax);
  for (let call = 0; call < calls; call++) {
    more = lane.next();
    if (!more) break;
    const bytes = spoiltCall(random, call * 2 + 1);
    lane.sending(bytes);
    socket.write(bytes);
  }
  const ended = await within(
    "the end",
    socket.closed.then(() => true),
    silentTicks,
  ).catch(() => false);
  figures.closes.add(ended ? "gRPC: ended by the server" : "gRPC: stays open");
  socket.destroy(random.integer(0, 1) === 0 ? "fin" : "reset");
  return more;
};

const wellFormedCall = async (lane: Lane): Promise<void> => {
  const socket = await open(lane);
  socket.write(preface);
  socket.write(frame(type.settings, 0, 0, Buffer.alloc(0)));
  socket.write(callFrames(1, headerBlock("minitoolstream.EgressService/GetLastSequence"), field(1, "fuzz.a")));
  const answered = await within("the answer to a well-formed gRPC call", socket.take(takeAnswer));
  if (answered !== true) throw new Error("the gRPC port ended a connection with nothing wrong in it");
  lane.figures.answers.add("gRPC call");
  socket.destroy();
};

/** Waits for the head of the answer on stream 1. */
const takeAnswer = (received: Buffer): { value: true; used: number } | undefined => {
  for (let at = 0; at + 9 <= received.length; at += 9 + received.readUIntBE(at, 3)) {
    if (received[at + 3] === type.headers && received.readUInt32BE(at + 5) === 1) return { value: true, used: at };
  }
  return undefined;
};

const frame = (kind: number, flags: number, stream: number, payload: Uint8Array): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = kind;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};

/** Literals without indexing and without Huffman (RFC 7541, 6.2.2); names and values below 127 bytes. */
const headerBlock = (method: string, more: readonly (readonly [string, string])[] = []): Buffer => {
  const fields: readonly (readonly [string, string])[] = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", `/${method}`],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...more,
  ];
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0, name.length]),
      Buffer.from(name, "latin1"),
      Buffer.from([value.length]),
      Buffer.from(value, "latin1"),
    ]),
  );
};

const callFrames = (stream: number, block: Buffer, message: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const data = frame(type.data, endStream, stream, Buffer.concat([head, message]));
  return Buffer.concat([frame(type.headers, endHeaders, stream, block), data]);
};

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  let rest = BigInt(value);
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
};

/** One field of a protobuf message: text or bytes, or a number. */
const field = (number: number, value: string | number | Buffer): Buffer => {
  if (typeof value === "number") return Buffer.concat([varint(number * 8), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
};

const realMessage = (random: SeededRandom): Buffer => {
  const entry = Buffer.concat([field(1, "name"), field(2, "value")]);
  const candidates = [
    field(1, ["fuzz.a", "fuzz.b", "fuzz.>", "c1"][random.integer(0, 3)] ?? ""),
    field(2, ["c1", "fuzz.a", randomBytes(random, random.integer(0, 300))][random.integer(0, 2)] ?? ""),
    field(2, random.integer(0, 1000)),
    field(3, random.integer(0, 2) === 0 ? entry : random.integer(0, 20)),
    field(4, random.integer(0, 1) === 0 ? "id" : random.integer(0, 5)),
    field(random.integer(5, 16), random.integer(0, 100_000)),
  ];
  return Buffer.concat([
    candidates[0] ?? Buffer.alloc(0),
    ...candidates.slice(1).filter(() => random.integer(0, 1) === 0),
  ]);
};

const extraHeaders: readonly (readonly [string, string])[] = [
  ["grpc-timeout", "100m"],
  ["grpc-timeout", "99999999999H"],
  ["grpc-encoding", "gzip"],
  ["content-length", "3"],
  ["mts-auto-ack", "true"],
  ["authorization", "Bearer a.b.c"],
  ["x-bin", "!!!"],
  ["connection", "close"],
  ["UPPER", "x"],
  [":path", "/again"],
];

/** Frames of one call with something wrong in its message, its headers, its frames, or its bytes. */
const spoiltCall = (random: SeededRandom, stream: number): Buffer => {
  const method = methods[random.integer(0, methods.length - 1)] ?? "";
  const message = realMessage(random);
  const block = headerBlock(method);
  switch (random.integer(0, 8)) {
    case 0:
      return callFrames(stream, block, message);
    case 1:
    case 2:
    case 3:
      return callFrames(stream, block, mutateBytes(random, message, realMessage(random)));
    case 4:
      return callFrames(
        stream,
        headerBlock(method, [extraHeaders[random.integer(0, extraHeaders.length - 1)] ?? ["a", "b"]]),
        message,
      );
    case 5:
      return callFrames(stream, mutateBytes(random, block, block), message);
    case 6:
      return mutateBytes(random, callFrames(stream, block, message), randomBytes(random, 20));
    case 7: {
      const payload = randomBytes(random, random.integer(0, 40));
      const odd = frame(random.integer(0, 12), random.integer(0, 255), random.integer(0, stream + 4), payload);
      return Buffer.concat([callFrames(stream, block, message), odd]);
    }
    default: {
      const cut = random.integer(0, block.length);
      const first = frame(type.headers, 0, stream, block.subarray(0, cut));
      const rest = frame(type.continuation, random.integer(0, 1) * endHeaders, stream, block.subarray(cut));
      return Buffer.concat([first, rest, frame(type.rst, 0, stream, Buffer.alloc(4))]);
    }
  }
};
