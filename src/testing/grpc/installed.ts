/**
 * The foreign programs that these tests run: `scripts/lib/grpc-clients.sh` installs and builds them, once.
 * @module
 */
import { join } from "node:path";
import { guard, release } from "../guardian.ts";

const libraryFolder = join(import.meta.dir, "..", "..", "..", "scripts", "lib");
// The folder is an argument, not a part of the script: it may contain anything.
const ensureScript = `. "$0/bootstrap.sh" && . "$0/grpc-clients.sh" && ensure_grpc_clients && printf %s "$grpc_clients"`;

let folder: Promise<string> | undefined;

/** The folder whose contents the script describes. Rejects when something is missing; standard error names it. */
export const grpcClientsFolder = (): Promise<string> => {
  folder ??= install();
  return folder;
};

const install = async (): Promise<string> => {
  const child = Bun.spawn(["bash", "-c", ensureScript, libraryFolder], { stdin: "ignore", stderr: "inherit" });
  guard(child.pid);
  const path = await new Response(child.stdout).text();
  const code = await child.exited;
  release(child.pid);
  if (code !== 0) throw new Error("the gRPC clients could not be installed; standard error says why");
  return path;
};
