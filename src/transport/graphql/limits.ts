/**
 * Limits against questions that are small and cost much: nesting, aliases, and the number of values in the answer, all
 * known before anything is looked up.
 * @module
 */
import {
  type ASTVisitor,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
  visit,
} from "graphql";
import { eventsDefault, eventsMax, lastEventsDefault, minutesMax } from "./type-definitions.ts";

/** Words and signs of a document; the introspection of tools has about 400. */
export const tokensMax = 2000;
/** Fields inside one another, fragments unfolded; introspection has a limit of its own. */
const depthMax = 8;
/** Fields under another name. */
const aliasesMax = 30;
/** Values that the answer may have. */
const valuesMax = 100_000;
/** Rows of one minute in the windows of metrics: one for each type. */
const rowsOfMinute = 3;

/** What an unfolded selection comes to. */
interface Cost {
  readonly depth: number;
  readonly values: number;
}

const nothing: Cost = { depth: 0, values: 0 };

/** The rule for `validate`. */
export const costRule = (context: ValidationContext): ASTVisitor => ({
  Document: (document) => {
    const { aliases, hasWindows } = look(document);
    if (aliases > aliasesMax) report(context, document, `The document has more than ${aliasesMax} aliases.`);
    const fragments = new Fragments(document, hasWindows);
    for (const definition of document.definitions) {
      if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
      const { depth, values } = fragments.costOf(definition.selectionSet, true);
      if (depth > depthMax) report(context, definition, `Fields are nested more than ${depthMax} deep.`);
      if (values > valuesMax) {
        report(context, definition, `The answer could have more than ${valuesMax} values; ask for less at once.`);
      }
    }
  },
});

const report = (context: ValidationContext, node: DocumentNode | OperationDefinitionNode, detail: string): void => {
  context.reportError(
    new GraphQLError(detail, {
      nodes: node.kind === Kind.DOCUMENT ? [] : node,
      extensions: { code: "query_too_costly", retryable: false, http: { spec: true, status: 400 } },
    }),
  );
};

/** What can be told without unfolding anything. */
const look = (document: DocumentNode): { readonly aliases: number; readonly hasWindows: boolean } => {
  let aliases = 0;
  let hasWindows = false;
  visit(document, {
    Field: ({ alias, name }) => {
      if (alias !== undefined) aliases++;
      hasWindows ||= name.value === "windows";
    },
  });
  return { aliases, hasWindows };
};

/** Unfolds fragments, each once; what goes in a circle counts as nothing here, another rule refuses it. */
class Fragments {
  readonly #definitions: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #costs = new Map<string, Cost>();

  /** @param hasWindows whether metrics are asked for minute by minute anywhere; otherwise they are one row */
  constructor(
    document: DocumentNode,
    private readonly hasWindows: boolean,
  ) {
    this.#definitions = new Map(
      document.definitions.flatMap((each) => (each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each]] : [])),
    );
  }

  /** @param isRoot whether its fields are those of the operation: they say how many rows there are */
  costOf({ selections }: SelectionSetNode, isRoot: boolean): Cost {
    let depth = 0;
    let values = 0;
    for (const selection of selections) {
      const cost =
        selection.kind === Kind.FIELD
          ? this.#ofField(selection, isRoot)
          : selection.kind === Kind.INLINE_FRAGMENT
            ? this.costOf(selection.selectionSet, isRoot)
            : this.#ofFragment(selection.name.value, isRoot);
      depth = Math.max(depth, cost.depth);
      values += cost.values;
    }
    return { depth, values };
  }

  #ofField(field: FieldNode, isRoot: boolean): Cost {
    if (field.name.value.startsWith("__")) return { depth: 1, values: 1 };
    const { depth, values } = field.selectionSet === undefined ? nothing : this.costOf(field.selectionSet, false);
    return { depth: depth + 1, values: 1 + (isRoot ? rowsOf(field, this.hasWindows) : 1) * values };
  }

  #ofFragment(name: string, isRoot: boolean): Cost {
    const key = `${isRoot ? "root " : ""}${name}`;
    const known = this.#costs.get(key);
    if (known !== undefined) return known;
    this.#costs.set(key, nothing);
    const definition = this.#definitions.get(name);
    const cost = definition === undefined ? nothing : this.costOf(definition.selectionSet, isRoot);
    this.#costs.set(key, cost);
    return cost;
  }
}

/** How often the fields under a field of the operation may be in the answer. */
const rowsOf = (field: FieldNode, hasWindows: boolean): number => {
  switch (field.name.value) {
    case "lastEvents":
      return numberOf(field, "limit", lastEventsDefault, eventsMax);
    case "events":
      return numberOf(field, "limit", eventsDefault, eventsMax);
    case "aggregatedMetrics":
      return hasWindows ? rowsOfMinute * numberOf(field, "minutes", 1, minutesMax) : 1;
    default:
      return 1;
  }
};

/** What a number of an argument can be: as it stands, its default, or the most where a variable says it. */
const numberOf = (field: FieldNode, name: string, byDefault: number, max: number): number => {
  const value = field.arguments?.find((argument) => argument.name.value === name)?.value;
  if (value === undefined) return byDefault;
  return value.kind === Kind.INT ? Math.min(Math.max(1, Number(value.value)), max) : max;
};
