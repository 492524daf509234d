/**
 * The foreign programs that these tests run: `scripts/lib/grpc-clients.sh` installs and builds them, once.
 * @module
 */
import { installedPath } from "../installed.ts";

let folder: Promise<string> | undefined;

/** The folder whose contents the script describes. Rejects when something is missing; standard error names it. */
export const grpcClientsFolder = (): Promise<string> => {
  folder ??= installedPath("grpc-clients", "grpc_clients");
  return folder;
};
