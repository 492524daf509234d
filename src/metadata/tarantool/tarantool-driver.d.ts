/** What is used of `tarantool-driver`, which comes without types. */
declare module "tarantool-driver" {
  import type { EventEmitter } from "node:events";
  import type { Socket } from "node:net";

  /** The buffer that incomplete answers are collected in. */
  interface SlidingBuffer {
    buffer: Buffer;
    bufferOffset: number;
    bufferLength: number;
    add(data: Buffer, from?: number, size?: number): void;
  }

  interface TarantoolOptions {
    readonly host: string;
    readonly port: number;
    readonly username: string;
    readonly password: string;
    /** Connect when `connect` is called, not in the constructor. */
    readonly lazyConnect: boolean;
    /** Not a function: a lost connection is over, and the calls in flight are rejected. */
    readonly retryStrategy: null;
    readonly enableOfflineQueue: boolean;
  }

  /** One connection. */
  export default class Tarantool extends EventEmitter {
    constructor(options: TarantoolOptions);
    readonly socket: Socket | undefined;
    bufferSlide: SlidingBuffer;
    /** Reads one answer and settles its call; throws inside the socket's event when it cannot. */
    _processResponse(buffer: Buffer, offset: number): void;
    connect(): Promise<void>;
    disconnect(): void;
    /** What a function returned: an array of its results, each as a tuple. */
    call(name: string, ...args: readonly unknown[]): Promise<unknown>;
  }
}
