/**
 * Documents: parsed and checked once, and kept, because clients send the same few again and again.
 * @module
 */
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  parse,
  specifiedRules,
  validate,
  visit,
} from "graphql";
import { requestFault } from "./errors.ts";
import { costRule, tokensMax } from "./limits.ts";

/** Documents that are kept, and the longest of them in characters. */
const keptMax = 500;
const keptCharsMax = 8 * 1024;
/** Faults that one answer names. */
const faultsMax = 20;

/** A document that was looked at. */
export type CheckedDocument =
  | {
      readonly document: DocumentNode;
      /** Why it is not to be executed; empty when it may be. */
      readonly faults: readonly GraphQLError[];
      /** Whether two who subscribe with it at different times see the same from then on: it names no place to start. */
      readonly isShareable: boolean;
    }
  | { readonly document?: undefined; readonly faults: readonly [GraphQLError] };

const rules = [...specifiedRules, costRule];

/** The documents of a schema. */
export class Documents {
  /** The one that was used last is the last. */
  readonly #kept = new Map<string, CheckedDocument>();

  constructor(private readonly schema: GraphQLSchema) {}

  /** Parses and checks. */
  check(text: string): CheckedDocument {
    const kept = this.#kept.get(text);
    if (kept !== undefined) {
      this.#kept.delete(text);
      this.#kept.set(text, kept);
      return kept;
    }
    const checked = this.#look(text);
    if (text.length <= keptCharsMax) {
      this.#kept.set(text, checked);
      if (this.#kept.size > keptMax) for (const oldest of this.#kept.keys()) return this.#forget(oldest, checked);
    }
    return checked;
  }

  #forget(text: string, checked: CheckedDocument): CheckedDocument {
    this.#kept.delete(text);
    return checked;
  }

  #look(text: string): CheckedDocument {
    let document: DocumentNode;
    try {
      document = parse(text, { maxTokens: tokensMax });
    } catch (thrown) {
      const error = thrown instanceof GraphQLError ? thrown : new GraphQLError("The document cannot be read.");
      return { faults: [requestFault(error)] };
    }
    const faults = validate(this.schema, document, rules, { maxErrors: faultsMax }).map((error) =>
      error.extensions["code"] === undefined ? requestFault(error) : error,
    );
    return { document, faults, isShareable: !namesCursor(document) };
  }
}

const namesCursor = (document: DocumentNode): boolean => {
  let found = false;
  visit(document, {
    [Kind.ARGUMENT]: ({ name }) => {
      found ||= name.value === "cursor";
    },
  });
  return found;
};
