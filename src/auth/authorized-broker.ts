/**
 * The stream as one token's bearer may use it: every verb asks the grant first and the broker after, so that what is
 * denied is denied in the same way whether or not it is there.
 *
 * | verbs | permission |
 * | --- | --- |
 * | `publish`, `storeBody`, uploads | `publish` |
 * | `read`, `readEnvelopes`, `message`, `fetch`, `peek`, `subject`, `receipts` | `fetch` |
 * | `awaitReceipts`: a publisher may know what became of its message | `fetch` or `publish` |
 * | `subscribe` (live tails too), for the whole filter | `subscribe` |
 * | consumers, `ack`, `nack` | `fetch` or `subscribe` |
 * | `putConsumer` with a subject for dead letters | `publish` there, too |
 * | `redrive` | as consumers, and `fetch` of the dead letters |
 * | `signedBody`, `receiveUpload`: the signature is the right | none |
 * | `subjects`: what may be used in any way | any |
 * | `purge`, policies of filters whose subjects are all granted | `admin` |
 * | `actor`, `actorRows`, `actorRowChanges`, where all that the actor is fed is granted; `actors` shows those | `fetch` |
 * | `rebuildActor`, as those | `admin` |
 * @module
 */
import type {
  AckResult,
  ActorStatus,
  ActorTableRow,
  BodySource,
  Broker,
  DeliverAs,
  EnvelopesPage,
  FetchRequest,
  Page,
  ReadRequest,
  RowChanges,
  StoredMessage,
  SubscribeRequest,
  Subscription,
  SubscriptionSink,
} from "../broker/contract.ts";
import { StreamError, toStreamError } from "../core/errors.ts";
import type {
  BodyRef,
  ConsumerConfig,
  ConsumerState,
  Draft,
  PublishOutcome,
  Receipts,
  Sequence,
} from "../core/message.ts";
import type { Upload, UploadClaim } from "../core/pointer.ts";
import type { FilterPolicy, RetentionPolicy } from "../core/policy.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../core/subject.ts";
import type { Audit, AuditFields } from "./audit.ts";
import { type Access, type Permission, permissionDenied, tokenExpired } from "./grant.ts";
import { HeldSubscription } from "./held-subscription.ts";
import type { Lifetime } from "./lifetime.ts";
import { listGranted } from "./listing.ts";

/** Subjects of one publish that the audit log names. */
const auditedSubjectsMax = 100;

/** What only a caller may see who may see everything. */
const everySubject = ">" as SubjectFilter;

/** A broker behind a grant. */
export class AuthorizedBroker implements Broker {
  readonly epoch: string;
  readonly bodyBytesMax: number;
  readonly #inner: Broker;
  readonly #access: Access;
  readonly #lifetime: Lifetime;
  readonly #audit: Audit;
  readonly #client: string;
  readonly #auditsPublish: boolean;

  constructor(inner: Broker, access: Access, lifetime: Lifetime, audit: Audit) {
    this.epoch = inner.epoch;
    this.bodyBytesMax = inner.bodyBytesMax;
    this.#inner = inner;
    this.#access = access;
    this.#lifetime = lifetime;
    this.#audit = audit;
    this.#client = access.grant.clientId;
    this.#auditsPublish = audit.hears("publish");
  }

  /** Why the subject may not be published to, or undefined. */
  publishRefusal(subject: Subject): StreamError | undefined {
    const refusal = this.#publishRefusal(subject);
    if (refusal !== undefined) this.#audit.tell({ ...this.#line("publish", subject), outcome: refusal.code });
    return refusal;
  }

  // Not async: the place in the order of a subject is taken before the first await.
  publish(drafts: readonly Draft[]): Promise<readonly PublishOutcome[]> {
    if (this.#lifetime.isOver) return this.#refused({ verb: "publish", subject: drafts[0]?.subject }, tokenExpired());
    const denied = this.#firstDenied(drafts);
    const published = denied === -1 ? this.#inner.publish(drafts) : this.#publishGranted(drafts);
    return this.#auditsPublish || denied !== -1 ? this.#auditPublish(drafts, published) : published;
  }

  async storeBody(source: BodySource, signal?: AbortSignal): Promise<BodyRef> {
    await this.#require({ verb: "store_body" }, "to publish", () => this.#access.may("publish"));
    return this.#audit.watch(this.#line("store_body"), this.#inner.storeBody(source, signal));
  }

  openUpload(claim: UploadClaim, parts: boolean): Promise<Upload> {
    return this.#toUpload("open_upload", claim, () => this.#inner.openUpload(claim, parts));
  }

  completeUpload(claim: UploadClaim, key: string): Promise<void> {
    return this.#toUpload("complete_upload", claim, () => this.#inner.completeUpload(claim, key));
  }

  takeUpload(claim: UploadClaim, key: string): Promise<BodyRef> {
    return this.#toUpload("take_upload", claim, () => this.#inner.takeUpload(claim, key));
  }

  // A signed address is the right itself: whoever has it was given it by somebody who may.
  signedBody(token: string): ReturnType<Broker["signedBody"]> {
    return this.#inner.signedBody(token);
  }

  receiveUpload(token: string, source: BodySource, signal?: AbortSignal): Promise<void> {
    return this.#inner.receiveUpload(token, source, signal);
  }

  receipts(subject: Subject, sequence: Sequence): Promise<Receipts> {
    const line = this.#line("receipts", subject);
    return this.#ask(line, ["fetch"], subject, () => this.#inner.receipts(subject, sequence));
  }

  awaitReceipts(...[request, waitMs, signal]: Parameters<Broker["awaitReceipts"]>): Promise<Receipts> {
    const line = this.#line("receipts", request.subject);
    return this.#ask(line, ["fetch", "publish"], request.subject, () =>
      this.#untilEnd(
        waitMs,
        signal,
        // There is always an answer: the message itself was published while the token held.
        () => 1,
        (until) => this.#inner.awaitReceipts(request, waitMs, until),
      ),
    );
  }

  read(request: ReadRequest, signal?: AbortSignal): Promise<Page> {
    const line = this.#line("read", request.subject);
    return this.#ask(line, ["fetch"], request.subject, () =>
      this.#untilEnd(
        request.waitMs,
        signal,
        ({ messages, damaged }) => messages.length + damaged.length,
        (until) => this.#inner.read(request, until),
      ),
    );
  }

  readEnvelopes(request: ReadRequest, signal?: AbortSignal): Promise<EnvelopesPage> {
    const line = this.#line("read", request.subject);
    return this.#ask(line, ["fetch"], request.subject, () =>
      this.#untilEnd(
        request.waitMs,
        signal,
        ({ envelopes }) => envelopes.length,
        (until) => this.#inner.readEnvelopes(request, until),
      ),
    );
  }

  message(subject: Subject, sequence: Sequence): Promise<StoredMessage> {
    return this.#ask(this.#line("message", subject), ["fetch"], subject, () => this.#inner.message(subject, sequence));
  }

  async subjects(query: Parameters<Broker["subjects"]>[0]): ReturnType<Broker["subjects"]> {
    const line = this.#line("subjects", query.filter);
    await this.#require(line, "this", () => true);
    const seesAny = this.#access.grant.permissions.size > 0 || this.#access.grant.admin;
    const listing = seesAny
      ? listGranted(this.#inner, this.#access, query)
      : Promise.resolve({ subjects: [], hasMore: false });
    return this.#audit.watch(line, listing);
  }

  subject(subject: Subject): ReturnType<Broker["subject"]> {
    return this.#ask(this.#line("subject", subject), ["fetch"], subject, () => this.#inner.subject(subject));
  }

  async purge(subject: Subject, through: Sequence): Promise<{ readonly deleted: number }> {
    const line = this.#line("purge", subject);
    const { grant } = this.#access;
    await this.#require(line, "to delete messages of this subject", () => grant.admin && this.#access.covers(subject));
    return this.#audit.watch(line, this.#inner.purge(subject, through));
  }

  async putPolicy(filter: SubjectFilter, policy: RetentionPolicy): Promise<{ readonly created: boolean }> {
    return this.#aboutPolicy("put_policy", filter, () => this.#inner.putPolicy(filter, policy));
  }

  async policy(filter: SubjectFilter): Promise<RetentionPolicy> {
    return this.#aboutPolicy("policy", filter, () => this.#inner.policy(filter));
  }

  async policies(): Promise<readonly FilterPolicy[]> {
    const line = this.#line("policies");
    await this.#require(line, "to see policies", () => this.#access.grant.admin);
    const policies = await this.#audit.watch(line, this.#inner.policies());
    return policies.filter(({ filter }) => this.#access.coversFilter(filter));
  }

  async deletePolicy(filter: SubjectFilter): Promise<RetentionPolicy> {
    return this.#aboutPolicy("delete_policy", filter, () => this.#inner.deletePolicy(filter));
  }

  async #aboutPolicy<T>(verb: AuditFields["verb"], filter: SubjectFilter, run: () => Promise<T>): Promise<T> {
    const line = this.#line(verb, filter);
    const { grant } = this.#access;
    await this.#require(line, "policies of this filter", () => grant.admin && this.#access.coversFilter(filter));
    return this.#audit.watch(line, run());
  }

  async putConsumer(subject: Subject, name: ConsumerName, config: ConsumerConfig): ReturnType<Broker["putConsumer"]> {
    const { deadLetter } = config;
    if (deadLetter !== undefined) {
      // The server writes there in the consumer's stead, so it must be one who may write there himself.
      await this.#require(
        this.#line("put_consumer", subject, name),
        "to publish to the subject of dead letters",
        () => this.#access.may("publish") && this.#access.covers(deadLetter),
      );
    }
    return this.#asConsumer("put_consumer", subject, name, () => this.#inner.putConsumer(subject, name, config));
  }

  consumer(subject: Subject, name: ConsumerName): Promise<ConsumerState> {
    return this.#asConsumer("consumer", subject, name, () => this.#inner.consumer(subject, name));
  }

  consumers(subject: Subject): Promise<readonly ConsumerState[]> {
    return this.#asConsumer("consumers", subject, undefined, () => this.#inner.consumers(subject));
  }

  deleteConsumer(subject: Subject, name: ConsumerName): Promise<ConsumerState> {
    return this.#asConsumer("delete_consumer", subject, name, () => this.#inner.deleteConsumer(subject, name));
  }

  fetch(request: FetchRequest, signal?: AbortSignal): Promise<Page> {
    const line = this.#line("fetch", request.subject, request.consumer);
    return this.#ask(line, ["fetch"], request.subject, () =>
      this.#untilEnd(
        request.waitMs,
        signal,
        ({ messages, damaged }) => messages.length + damaged.length,
        (until) => this.#inner.fetch(request, until),
      ),
    );
  }

  peek(subject: Subject, name: ConsumerName, limit: number, deliver?: DeliverAs): Promise<Page> {
    const line = this.#line("peek", subject, name);
    return this.#ask(line, ["fetch"], subject, () => this.#inner.peek(subject, name, limit, deliver));
  }

  ack(subject: Subject, name: ConsumerName, settled: Parameters<Broker["ack"]>[2]): Promise<AckResult> {
    return this.#asConsumer("ack", subject, name, () => this.#inner.ack(subject, name, settled));
  }

  nack(
    subject: Subject,
    name: ConsumerName,
    sequences: readonly Sequence[],
    delayMs: number,
    error?: string,
  ): Promise<{ readonly redeliver: number }> {
    return this.#asConsumer("nack", subject, name, () => this.#inner.nack(subject, name, sequences, delayMs, error));
  }

  redrive(...[request, signal]: Parameters<Broker["redrive"]>): ReturnType<Broker["redrive"]> {
    const { subject, consumer } = request;
    return this.#asConsumer("redrive", subject, consumer, async () => {
      const { deadLetter } = await this.#inner.consumer(subject, consumer);
      if (deadLetter !== undefined && !(this.#access.may("fetch") && this.#access.covers(deadLetter))) {
        throw permissionDenied("to read the subject of dead letters");
      }
      return this.#untilEnd(
        Number.POSITIVE_INFINITY,
        signal,
        ({ redriven }) => redriven,
        (until) => this.#inner.redrive(request, until),
      );
    });
  }

  async subscribe(request: SubscribeRequest, sink: SubscriptionSink): Promise<Subscription> {
    const { filter, consumer } = request;
    const line = this.#line("subscribe", filter, consumer);
    await this.#require(line, "to subscribe to all of this filter", () => this.#maySubscribe(filter));
    const held = new HeldSubscription(request, sink, this.#lifetime, this.#access.hidesServerSubjects(filter));
    try {
      held.started(await this.#audit.watch(line, this.#inner.subscribe(request, held)));
    } catch (thrown) {
      held.failed();
      throw thrown;
    }
    return held;
  }

  /** Takes over a subscription of another token of the same connection. */
  adopt(subscription: Subscription): void {
    if (!(subscription instanceof HeldSubscription)) return;
    const { filter } = subscription;
    if (this.#maySubscribe(filter)) {
      subscription.moveTo(this.#lifetime, this.#access.hidesServerSubjects(filter));
      return;
    }
    const error = permissionDenied("to subscribe to all of this filter");
    this.#audit.tell({ ...this.#line("subscribe", filter), outcome: error.code });
    subscription.end(error);
  }

  async actors(): Promise<readonly ActorStatus[]> {
    const line = this.#line("actors");
    await this.#require(line, "this", () => true);
    if (!this.#access.may("fetch")) return [];
    const actors = await this.#audit.watch(line, this.#inner.actors());
    return actors.filter((actor) => this.#isOwnActor(actor));
  }

  actor(name: ConsumerName): Promise<ActorStatus> {
    return this.#aboutActor("actor", name, "fetch", async (status) => status);
  }

  actorRows(...[name, range]: Parameters<Broker["actorRows"]>): Promise<readonly ActorTableRow[]> {
    return this.#aboutActor("actor_rows", name, "fetch", () => this.#inner.actorRows(name, range));
  }

  actorRowChanges(...[name, since, limit]: Parameters<Broker["actorRowChanges"]>): Promise<RowChanges> {
    return this.#aboutActor("actor_rows", name, "fetch", () => this.#inner.actorRowChanges(name, since, limit));
  }

  rebuildActor(name: ConsumerName): Promise<ActorStatus> {
    return this.#aboutActor("rebuild_actor", name, "admin", () => this.#inner.rebuildActor(name));
  }

  /** One that is not there is denied like one that is another's, unless everything is granted. */
  async #aboutActor<T>(
    verb: AuditFields["verb"],
    name: ConsumerName,
    right: "fetch" | "admin",
    run: (status: ActorStatus) => Promise<T>,
  ): Promise<T> {
    const line = this.#line(verb, undefined, name);
    const what = `to ${verb === "rebuild_actor" ? "rebuild" : "see"} this actor`;
    const { grant } = this.#access;
    await this.#require(line, what, () => (right === "admin" ? grant.admin : this.#access.may("fetch")));
    const status = await this.#inner.actor(name).catch((thrown: unknown) => {
      if (this.#access.coversFilter(everySubject)) throw thrown;
      return undefined;
    });
    if (status === undefined || !this.#isOwnActor(status)) return this.#refused(line, permissionDenied(what));
    return this.#audit.watch(line, run(status));
  }

  /** Of one that this node does not know nobody can tell what it is fed. */
  #isOwnActor({ filter }: ActorStatus): boolean {
    return this.#access.coversFilter(filter ?? everySubject);
  }

  readiness(): ReturnType<Broker["readiness"]> {
    return this.#inner.readiness();
  }

  drain(): Promise<void> {
    return Promise.reject(permissionDenied("to stop the server"));
  }

  #publishRefusal(subject: Subject): StreamError | undefined {
    if (this.#lifetime.isOver) return tokenExpired();
    if (!this.#access.may("publish")) return permissionDenied("to publish");
    return this.#access.covers(subject) ? undefined : permissionDenied("to publish to this subject");
  }

  #maySubscribe(filter: SubscribeRequest["filter"]): boolean {
    return this.#access.may("subscribe") && this.#access.coversFilter(filter);
  }

  #line(verb: AuditFields["verb"], subject?: string, consumer?: string): Omit<AuditFields, "outcome"> {
    return { client: this.#client, verb, subject, consumer };
  }

  /** @throws StreamError `token_expired`, `permission_denied`; both are written down */
  async #require(line: Omit<AuditFields, "outcome" | "client">, what: string, isGranted: () => boolean): Promise<void> {
    if (this.#lifetime.isOver) return this.#refused(line, tokenExpired());
    if (!isGranted()) return this.#refused(line, permissionDenied(what));
  }

  #refused(line: Omit<AuditFields, "outcome" | "client">, error: StreamError): Promise<never> {
    this.#audit.tell({ client: this.#client, ...line, outcome: error.code });
    return Promise.reject(error);
  }

  /** One verb on one subject that needs one of the permissions. */
  #ask<T>(
    line: Omit<AuditFields, "outcome">,
    permissions: readonly Permission[],
    subject: Subject,
    run: () => Promise<T>,
  ): Promise<T> {
    if (this.#lifetime.isOver) return this.#refused(line, tokenExpired());
    if (!this.#access.may(...permissions) || !this.#access.covers(subject)) {
      return this.#refused(line, permissionDenied(`${permissions.join(" or ")} on this subject`));
    }
    return this.#audit.hears(line.verb) ? this.#audit.watch(line, run()) : run();
  }

  #toUpload<T>(verb: AuditFields["verb"], { subject }: UploadClaim, run: () => Promise<T>): Promise<T> {
    return this.#ask(this.#line(verb, subject), ["publish"], subject, run);
  }

  #asConsumer<T>(
    verb: AuditFields["verb"],
    subject: Subject,
    consumer: ConsumerName | undefined,
    run: () => Promise<T>,
  ): Promise<T> {
    return this.#ask(this.#line(verb, subject, consumer), ["fetch", "subscribe"], subject, run);
  }

  /** Runs what may wait; when the rights end meanwhile, so does the wait. What was found before is answered still. */
  async #untilEnd<T>(
    waitMs: number,
    signal: AbortSignal | undefined,
    countOf: (answer: T) => number,
    run: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    if (waitMs <= 0) return run(signal);
    const until = new AbortController();
    const end = (): void => until.abort();
    this.#lifetime.onEnd(end);
    if (signal?.aborted === true) end();
    else signal?.addEventListener("abort", end, { once: true });
    try {
      const answer = await run(until.signal);
      if (countOf(answer) === 0) this.#lifetime.check();
      return answer;
    } catch (thrown) {
      // Ended before it could look: the reason is the token, not the client.
      if (until.signal.aborted && signal?.aborted !== true) this.#lifetime.check();
      throw thrown;
    } finally {
      this.#lifetime.forget(end);
      signal?.removeEventListener("abort", end);
    }
  }

  /** Index of the first draft that is not granted, or -1: one pass, nothing is copied. */
  #firstDenied(drafts: readonly Draft[]): number {
    if (!this.#access.may("publish")) return 0;
    let granted: Subject | undefined;
    for (let index = 0; index < drafts.length; index++) {
      const subject = drafts[index]?.subject;
      if (subject === undefined || subject === granted) continue;
      if (!this.#access.covers(subject)) return index;
      granted = subject;
    }
    return -1;
  }

  /** Publishes what is granted, in the order of the drafts, and puts the refusals between the outcomes. */
  async #publishGranted(drafts: readonly Draft[]): Promise<readonly PublishOutcome[]> {
    const refusals = drafts.map(({ subject }) => this.#publishRefusal(subject));
    const granted = drafts.filter((_, index) => refusals[index] === undefined);
    const published = granted.length === 0 ? [] : await this.#inner.publish(granted);
    let next = 0;
    return refusals.map((refusal) => refusal ?? published[next++] ?? toStreamError(undefined));
  }

  /** Tells of each subject once for each outcome it had. */
  async #auditPublish(
    drafts: readonly Draft[],
    published: Promise<readonly PublishOutcome[]>,
  ): Promise<readonly PublishOutcome[]> {
    const outcomes = await published;
    const lines = new Map<string, { readonly subject: Subject; readonly outcome: string; messages: number }>();
    for (const [index, { subject }] of drafts.entries()) {
      const answered = outcomes[index];
      const outcome = answered instanceof StreamError ? answered.code : "ok";
      const line = lines.get(`${outcome} ${subject}`);
      if (line !== undefined) line.messages++;
      else if (lines.size < auditedSubjectsMax) lines.set(`${outcome} ${subject}`, { subject, outcome, messages: 1 });
    }
    for (const line of lines.values()) this.#audit.tell({ client: this.#client, verb: "publish", ...line });
    return outcomes;
  }
}
