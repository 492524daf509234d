/**
 * Loading actors at start: a bare name is a file of this folder's parent, an absolute path a file of the user.
 * @module
 */
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";
import { type ActorDefinition, type ActorSettings, type ActorSpec, defineActor } from "../define.ts";

/** An actor cannot be loaded; the message names it and the fix. */
export class ActorLoadError extends Error {
  override readonly name = "ActorLoadError";
}

const isMap = (raw: unknown): raw is Record<string, unknown> => typeof raw === "object" && raw !== null;

const isFactory = (raw: unknown): raw is (settings: ActorSettings) => unknown => typeof raw === "function";

const isSpec = (raw: unknown): raw is ActorSpec<object, unknown> =>
  isMap(raw) && typeof raw["name"] === "string" && typeof raw["onMessage"] === "function";

/**
 * Loads actors.
 * @param names names of the program's own, absolute paths of others
 * @throws ActorLoadError
 */
export const loadActors = async (
  names: readonly string[],
  settings: ActorSettings,
): Promise<readonly ActorDefinition[]> => {
  const definitions = new Map<string, ActorDefinition>();
  for (const name of names) {
    const definition = await loadActor(name, settings);
    if (definitions.has(definition.name)) {
      throw new ActorLoadError(
        `actors: ${name}: there is another actor of the name ${definition.name}; leave one out.`,
      );
    }
    definitions.set(definition.name, definition);
  }
  return [...definitions.values()];
};

const loadActor = async (name: string, settings: ActorSettings): Promise<ActorDefinition> => {
  const isFile = isAbsolute(name);
  const path = isFile ? name : join(import.meta.dir, "..", `${name}.ts`);
  if (!existsSync(path)) {
    const fix = isFile
      ? `there is no file ${path}`
      : "there is no such actor; a file of your own is a path with a / in it";
    throw new ActorLoadError(`actors: ${name}: ${fix}.`);
  }
  let exported: unknown;
  try {
    const module: unknown = await import(pathToFileURL(path).href);
    exported = isMap(module) ? module["default"] : undefined;
    if (isFactory(exported)) exported = exported(settings);
  } catch (error) {
    throw new ActorLoadError(`actors: ${name}: ${textOf(error)}`, { cause: error });
  }
  if (!isSpec(exported)) {
    throw new ActorLoadError(`actors: ${name}: its file must say: export default defineActor({ … }).`);
  }
  try {
    return defineActor(exported);
  } catch (error) {
    throw new ActorLoadError(`actors: ${name}: ${textOf(error)}`, { cause: error });
  }
};

const textOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
