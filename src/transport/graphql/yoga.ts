/**
 * graphql-yoga as far as it is used here. It is loaded when the first request comes, so that the start does not wait
 * for it; and its own types stay outside, because they bring those of browsers into every file of the program.
 * @module
 */
import type { DocumentNode, GraphQLError, GraphQLSchema } from "graphql";

/** Hooks of one plugin, in the order in which they run. */
export interface YogaPlugin {
  onParse?(payload: {
    readonly params: { readonly source: unknown };
    readonly setParsedDocument: (document: DocumentNode) => void;
  }): void;
  onValidate?(payload: {
    readonly context: { readonly params: { readonly query?: string } };
    readonly setResult: (faults: readonly GraphQLError[]) => void;
  }): void;
  /** The result of a request, just before it is written. */
  onResultProcess?(payload: { readonly result: object; readonly setResult: (result: object) => void }): void;
}

/** How it is set up. */
export interface YogaOptions {
  readonly schema: GraphQLSchema;
  readonly graphqlEndpoint: string;
  readonly graphiql: false;
  readonly landingPage: false;
  readonly cors: false;
  readonly logging: false;
  readonly multipart: false;
  readonly batching: false;
  readonly maxRequestBodySize: false;
  readonly parserAndValidationCache: false;
  readonly maskedErrors: { readonly maskError: (error: unknown) => GraphQLError };
  /** What of the web's API it is to use. */
  readonly fetchAPI: object;
  readonly plugins: readonly YogaPlugin[];
}

/** A set-up one. */
export interface Yoga {
  /** @param context what resolvers get */
  readonly fetch: (request: Request, context: object) => Response | Promise<Response>;
}

/** The package. */
export interface YogaModule {
  readonly createYoga: (options: YogaOptions) => Yoga;
}

/** A name that the type checker does not follow. */
const yogaPackage: string = "graphql-yoga";

/** Loads it; the second time costs nothing. */
export const loadYoga = async (): Promise<YogaModule> => (await import(yogaPackage)) as YogaModule;
