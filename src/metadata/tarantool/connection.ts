/**
 * One connection to Tarantool through `tarantool-driver`, which lives until it is lost. The driver gives the protocol;
 * what it leaves out is here: a deadline on every call (its own calls hang when the server dies), an end that rejects
 * what is in flight, a bounded buffer for answers.
 * @module
 */
import Tarantool from "tarantool-driver";
import { decodeMsgpack } from "../../codec/msgpack.ts";
import { errorOfReply, NoAnswerError, RefusedError, refusalNumbers } from "./errors.ts";
import { ReplyBuffer } from "./reply-buffer.ts";

/** Where and as whom. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** A connection that was accepted; once `lost` is aborted it answers nothing any more. */
export class Connection {
  readonly #driver: Tarantool;
  readonly #lost = new AbortController();
  /** Tarantool's number of the last answer that was an error; the driver keeps only its text. */
  #errorNumber = 0;

  private constructor(driver: Tarantool) {
    this.#driver = driver;
  }

  /**
   * Connects and authenticates.
   * @throws RefusedError when the server does not let the user in; Error with what the server or the network said
   */
  static async open(address: Address, connectMsMax: number): Promise<Connection> {
    const driver = new Tarantool({
      host: address.host,
      port: address.port,
      username: address.user,
      password: address.password,
      lazyConnect: true,
      retryStrategy: null,
      enableOfflineQueue: false,
    });
    driver.bufferSlide = new ReplyBuffer();
    const connection = new Connection(driver);
    connection.#guardAnswers();
    let reason: unknown;
    driver.on("error", (error: unknown) => {
      // The first tells why; what follows is that it is over.
      reason ??= error;
    });
    driver.on("close", () => connection.#end(reason));
    const timer = setTimeout(() => {
      reason ??= new Error(`no answer within ${connectMsMax} ms`);
      connection.close();
    }, connectMsMax);
    try {
      await Promise.race([driver.connect(), connection.#whenLost()]);
      return connection;
    } catch (error) {
      connection.close();
      const cause = reason ?? error;
      // Nothing but the user's name and password was sent.
      if (refusalNumbers.has(connection.#errorNumber)) throw new RefusedError("wrong user or password", { cause });
      throw cause;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Aborted, with the reason, when the connection is lost or closed. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Calls a function with one packed argument and unpacks its answer.
   * @throws StreamError what the function answered instead; NoAnswerError when nobody knows whether it was called
   */
  async call(name: string, request: Uint8Array, msMax: number): Promise<unknown> {
    if (this.lost.aborted) throw new NoAnswerError("the connection is lost");
    const { promise: late, reject } = Promise.withResolvers<never>();
    // A connection that owes an answer is not trusted with another call.
    const timer = setTimeout(() => {
      const error = new NoAnswerError(`no answer from ${name} within ${msMax} ms`);
      reject(error);
      this.#end(error);
    }, msMax);
    const onLost = (): void => reject(new NoAnswerError("the connection was lost", { cause: this.lost.reason }));
    this.lost.addEventListener("abort", onLost, { once: true });
    try {
      const called = this.#driver.call(name, asBuffer(request)).catch((error: unknown) => {
        throw new NoAnswerError(`${name} failed`, { cause: error });
      });
      return unpack(await Promise.race([called, late]));
    } finally {
      clearTimeout(timer);
      this.lost.removeEventListener("abort", onLost);
    }
  }

  /** Lets go of the socket; calls in flight are rejected. */
  close(): void {
    this.#end(new Error("closed"));
  }

  /** An answer that cannot be read ends the connection, not the process: the driver throws inside the socket's event. */
  #guardAnswers(): void {
    const process = this.#driver._processResponse.bind(this.#driver);
    this.#driver._processResponse = (buffer, offset) => {
      try {
        this.#errorNumber = errorNumberOf(buffer, offset) ?? this.#errorNumber;
        process(buffer, offset);
      } catch (error) {
        this.#end(error);
      }
    };
  }

  async #whenLost(): Promise<never> {
    const { promise, reject } = Promise.withResolvers<never>();
    const onLost = (): void => reject(new Error("the connection was lost", { cause: this.lost.reason }));
    if (this.lost.aborted) onLost();
    else this.lost.addEventListener("abort", onLost, { once: true });
    return promise;
  }

  #end(reason: unknown): void {
    if (this.lost.aborted) return;
    this.#lost.abort(reason);
    this.#driver.disconnect();
    // An orderly end waits for a server that may be stopped.
    this.#driver.socket?.destroy();
  }
}

/** Set in the code of an answer that is an error. */
const errorFlag = 0x8000;

/**
 * Tarantool's error number, or undefined. The head of an answer is a map that starts with the code, in 32 bits.
 * https://www.tarantool.io/en/doc/latest/reference/internals/box_protocol/
 */
const errorNumberOf = (buffer: Buffer, offset: number): number | undefined => {
  const isHead = buffer.length - offset >= 7 && buffer[offset + 1] === 0x00 && buffer[offset + 2] === 0xce;
  const code = isHead ? buffer.readUInt32BE(offset + 3) : 0;
  return (code & errorFlag) === 0 ? undefined : code & (errorFlag - 1);
};

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The one binary field of the one result: `[0, value]`, or `[number, text]` of an error. */
const unpack = (results: unknown): unknown => {
  const tuple: unknown = Array.isArray(results) ? results[0] : undefined;
  const packed: unknown = Array.isArray(tuple) ? tuple[0] : tuple;
  if (!(packed instanceof Uint8Array)) throw errorOfReply(0, "an answer that is none");
  const reply = decodeMsgpack(packed);
  if (!Array.isArray(reply)) throw errorOfReply(0, "an answer that is none");
  const [number, value] = reply as unknown[];
  if (number !== 0) throw errorOfReply(typeof number === "number" ? number : 0, value);
  return value;
};
