/**
 * What `scripts/lib` installs for the tests, once: each of its files has a function that makes sure that something is
 * there and sets a variable to its path.
 * @module
 */
import { join } from "node:path";
import { guard, release } from "./guardian.ts";

const libraryFolder = join(import.meta.dir, "..", "..", "scripts", "lib");
// The folder and the names are arguments, not parts of the script: a path may contain anything.
const script = `. "$0/bootstrap.sh" && . "$0/$1.sh" && "ensure_$2" && printf %s "\${!2}"`;

/**
 * The path in the variable `name` after `ensure_<name>` of `scripts/lib/<file>.sh`. Rejects when it could not be
 * installed; standard error says why.
 */
export const installedPath = async (file: string, name: string): Promise<string> => {
  const child = Bun.spawn(["bash", "-c", script, libraryFolder, file, name], { stdin: "ignore", stderr: "inherit" });
  guard(child.pid);
  const path = await new Response(child.stdout).text();
  const code = await child.exited;
  release(child.pid);
  if (code !== 0) throw new Error(`${name} could not be installed; standard error says why`);
  return path;
};
