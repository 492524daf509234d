/**
 * The host: all application actors of this node, and what is known of those of all nodes.
 * @module
 */
import type { ActorStatus, ActorTableRow } from "../../src/broker/contract.ts";
import { StreamError } from "../../src/core/errors.ts";
import type { ActorStore, MetadataStore, RowChanges } from "../../src/metadata/contract.ts";
import type { ActorDefinition } from "../define.ts";
import { statusOf, unclaimed } from "./directory.ts";
import { type ActorGauge, ActorRunner } from "./runner.ts";
import type { ActorTools } from "./tools.ts";

export type { ActorGauge } from "./runner.ts";

/** Among nodes: renewed at a third, so that two renewals may fail, and taken over within 10 s. */
const sharedLeaseMs = 6000;
/** Where this process is the only one its lease is never in doubt, and renewing it would only cost. */
const ownLeaseMs = 60 * 60 * 1000;
/** Who owns it there: after a crash it is the same again. */
const onlyOwner = "local";
/** How long a handler is waited for when the server stops, in milliseconds. */
const stopMsMax = 2000;

/** What a host is made of. */
export interface HostOptions extends Omit<ActorTools, "store" | "leaseMs" | "owner"> {
  readonly metadata: MetadataStore;
  readonly definitions: readonly ActorDefinition[];
  /** This node among others. */
  readonly node: string;
}

/** Runs application actors. */
export class ActorHost {
  readonly #options: HostOptions;
  readonly #runners: ReadonlyMap<string, ActorRunner>;

  constructor(options: HostOptions) {
    this.#options = options;
    const { metadata, node, definitions } = options;
    const lease =
      metadata.changes === undefined
        ? { owner: onlyOwner, leaseMs: ownLeaseMs }
        : { owner: node, leaseMs: sharedLeaseMs };
    const tools: ActorTools = { ...options, ...lease, store: metadata.actors };
    this.#runners = new Map(definitions.map((definition) => [definition.name, new ActorRunner(definition, tools)]));
  }

  start(): void {
    for (const runner of this.#runners.values()) runner.start();
  }

  /** Ends them, and gives their leases back. */
  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    // Not the timers that a test may hold: a handler that hangs must not keep the server from stopping.
    const timer = setTimeout(() => resolve(undefined), stopMsMax);
    const stopped = Promise.all([...this.#runners.values()].map((runner) => runner.stop()));
    await Promise.race([stopped, promise]);
    clearTimeout(timer);
  }

  /** As this node knows them; asks no store. */
  actorGauges(): readonly ActorGauge[] {
    return [...this.#runners.values()].map((runner) => runner.gauge());
  }

  /** All that any node ever ran, in byte order of their names. */
  async actors(): Promise<readonly ActorStatus[]> {
    const { metadata } = this.#options;
    const records = await metadata.actors.list();
    const names = new Set<string>(records.map(({ name }) => name));
    const fresh = [...this.#runners.values()].filter(({ definition }) => !names.has(definition.name));
    const all = [...records, ...fresh.map(({ definition }) => unclaimed(definition.name))];
    all.sort((a, b) => Buffer.compare(Buffer.from(a.name, "utf8"), Buffer.from(b.name, "utf8")));
    const statuses: ActorStatus[] = [];
    // One after the other: each looks at all its subjects.
    for (const record of all) statuses.push(await statusOf(metadata, record, this.#runners.get(record.name)));
    return statuses;
  }

  /** @throws StreamError `actor_not_found` */
  async actor(name: ActorStatus["name"]): Promise<ActorStatus> {
    const { metadata } = this.#options;
    const runner = this.#runners.get(name);
    const record = (await metadata.actors.get(name)) ?? (runner && unclaimed(name));
    if (record === undefined) throw notFound(name);
    return statusOf(metadata, record, runner);
  }

  /** @throws StreamError `actor_not_found` */
  async rebuild(name: ActorStatus["name"]): Promise<ActorStatus> {
    const { metadata } = this.#options;
    const runner = this.#runners.get(name);
    const record = (await metadata.actors.reset(name)) ?? (runner && unclaimed(name));
    if (record === undefined) throw notFound(name);
    runner?.rebuilt();
    return statusOf(metadata, record, runner);
  }

  /** @throws StreamError `actor_not_found` */
  async rows(
    name: ActorStatus["name"],
    range: { readonly from: string; readonly to?: string | undefined; readonly limit: number },
  ): Promise<readonly ActorTableRow[]> {
    const { actors } = this.#options.metadata;
    if (!this.#runners.has(name) && (await actors.get(name)) === null) throw notFound(name);
    return actors.range(name, range);
  }

  /** @throws StreamError `actor_not_found` */
  async rowChanges(...[name, since, limit]: Parameters<ActorStore["rowChanges"]>): Promise<RowChanges> {
    const { actors } = this.#options.metadata;
    if (!this.#runners.has(name) && (await actors.get(name)) === null) throw notFound(name);
    return actors.rowChanges(name, since, limit);
  }

  /** What an actor is fed, where this node knows it. */
  filterOf(name: ActorStatus["name"]): ActorDefinition["filter"] | undefined {
    return this.#runners.get(name)?.definition.filter;
  }
}

const notFound = (name: string): StreamError => new StreamError("actor_not_found", `There is no actor ${name}.`);
