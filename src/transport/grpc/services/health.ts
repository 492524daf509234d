/**
 * `grpc.health.v1.Health`: says what `/readyz` says, and stays told while somebody watches.
 * Format: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 * @module
 */
import type { Broker } from "../../../broker/contract.ts";
import { readSubjectRequest } from "../messages.ts";
import type { GrpcCall, Route } from "../method.ts";
import { ProtoWriter } from "../protobuf.ts";
import { GrpcFault } from "../status.ts";

const servingStatus = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;
type ServingStatus = (typeof servingStatus)[keyof typeof servingStatus];

/** Between two looks at the stores while somebody watches, in milliseconds. */
const lookMs = 1000;

const response = (status: ServingStatus): Buffer => new ProtoWriter(4).number(1, status).done();
const frame = (status: ServingStatus): Buffer => new ProtoWriter(16).framePrefix(2).number(1, status).done();

/** The health of the services; one answer for all of them, because they need the same stores. */
export class Health {
  readonly #watchers = new Set<(status: ServingStatus) => void>();
  readonly #services: ReadonlySet<string>;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isLooking = false;
  #isStopping = false;

  /** @param services full names; the empty name is the server as a whole */
  constructor(
    private readonly broker: Broker,
    services: readonly string[],
  ) {
    this.#services = new Set(["", ...services]);
  }

  readonly routes: readonly Route[] = [
    {
      path: "/grpc.health.v1.Health/Check",
      open: true,
      method: { kind: "unary", handle: (request) => this.#check(readSubjectRequest(request)) },
    },
    {
      path: "/grpc.health.v1.Health/Watch",
      open: true,
      method: { kind: "server_stream", handle: (request, call) => this.#watch(readSubjectRequest(request), call) },
    },
  ];

  /** From now on nothing is served; whoever watches is told. */
  stop(): void {
    this.#isStopping = true;
    for (const tell of this.#watchers) tell(servingStatus.notServing);
  }

  async #check(service: string): Promise<Uint8Array> {
    if (!this.#services.has(service)) throw new GrpcFault("NOT_FOUND", "There is no such service.");
    return response(await this.#status());
  }

  async #watch(service: string, call: GrpcCall): Promise<void> {
    if (!this.#services.has(service)) {
      call.send(frame(servingStatus.serviceUnknown));
      return;
    }
    let told: ServingStatus | undefined;
    const tell = (status: ServingStatus): void => {
      if (status === told || !call.writable) return;
      told = status;
      call.send(frame(status));
    };
    this.#watchers.add(tell);
    call.signal.addEventListener("abort", () => this.#leave(tell), { once: true });
    this.#timer ??= setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
    tell(await this.#status());
  }

  #leave(tell: (status: ServingStatus) => void): void {
    this.#watchers.delete(tell);
    if (this.#watchers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#status()
      .then((status) => {
        for (const tell of this.#watchers) tell(status);
      })
      .finally(() => {
        this.#isLooking = false;
      });
  }

  async #status(): Promise<ServingStatus> {
    if (this.#isStopping) return servingStatus.notServing;
    try {
      const dependencies = Object.values(await this.broker.readiness());
      return dependencies.every(({ ready }) => ready) ? servingStatus.serving : servingStatus.notServing;
    } catch {
      return servingStatus.notServing;
    }
  }
}
