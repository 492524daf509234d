/**
 * The application actor of a history as the stores have it at one moment: what it is, and what it has published.
 * @module
 */
import type { Headers } from "../../core/message.ts";
import { parseConsumerName, parseFilter, parseSubject } from "../../core/subject.ts";
import type { ActorPosition, ActorRecord, MetadataStore } from "../../metadata/contract.ts";
import { failedSubject, seenFilter, seenName, thirdsSubject } from "./seen.ts";

/** What it has published: a message without its body. */
export interface ViewedMessage {
  readonly sequence: number;
  readonly headers: Headers;
}

/** See the module. */
export interface ActorView {
  /** Begins at 1; each rebuild makes it one more. */
  readonly generation: number;
  /** What its state was written as; null before its first step. */
  readonly state: unknown;
  /** In byte order of their keys. */
  readonly rows: readonly { readonly key: string; readonly value: unknown }[];
  readonly positions: readonly ActorPosition[];
  readonly told: readonly ViewedMessage[];
  readonly failed: readonly ViewedMessage[];
}

const pageMax = 1000;
const name = parseConsumerName(seenName);

/** Looks until nothing changed meanwhile; undefined while nobody ever ran it. */
export const viewActor = async (metadata: MetadataStore): Promise<ActorView | undefined> => {
  for (;;) {
    const before = await metadata.actors.get(name);
    if (before === null) return undefined;
    const view = {
      generation: before.generation,
      state: before.state === null ? null : parsed(before.state),
      rows: await rowsOf(metadata),
      positions: await metadata.actors.positions(name, undefined, pageMax),
      told: await messagesOf(metadata, thirdsSubject),
      failed: await messagesOf(metadata, failedSubject),
    };
    const after = await metadata.actors.get(name);
    if (after !== null && momentOf(after) === momentOf(before)) return view;
  }
};

/** Whether it has worked off everything. */
export const hasSeenAll = async (metadata: MetadataStore): Promise<boolean> => {
  if ((await metadata.actors.get(name)) === null) return false;
  const positions = await metadata.actors.positions(name, undefined, pageMax);
  const through = new Map<string, number>(positions.map((position) => [position.subject, position.through]));
  const { subjects } = await metadata.subjects({ filter: parseFilter(seenFilter), limit: pageMax });
  return subjects.every(({ subject, lastSequence }) => (through.get(subject) ?? 0) >= lastSequence);
};

const momentOf = ({ generation, revision }: ActorRecord): string => `${generation}/${revision}`;

const parsed = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString("utf8"));

const rowsOf = async ({ actors }: MetadataStore): Promise<ActorView["rows"]> => {
  const rows: ActorView["rows"][number][] = [];
  for (let from = ""; ; ) {
    const page = await actors.range(name, { from, limit: pageMax });
    rows.push(...page.map(({ key, value }) => ({ key, value: parsed(value) })));
    const last = page.at(-1);
    if (last === undefined || page.length < pageMax) return rows;
    from = `${last.key}\0`;
  }
};

const messagesOf = async (metadata: MetadataStore, subject: string): Promise<readonly ViewedMessage[]> => {
  const messages: ViewedMessage[] = [];
  for (let from = 1; ; ) {
    const bounds = { limit: pageMax, bodyBytesMax: Number.MAX_SAFE_INTEGER };
    const { envelopes } = await metadata.range(parseSubject(subject), from, bounds);
    messages.push(...envelopes.map(({ sequence, headers }) => ({ sequence, headers })));
    const last = envelopes.at(-1);
    if (last === undefined) return messages;
    from = last.sequence + 1;
  }
};
