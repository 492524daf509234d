/**
 * `token keygen`, `token create`, `token inspect`: keys and tokens, without a server.
 * @module
 */
import type { Command } from "../command.ts";
import { tokenCreateCommand } from "./create.ts";
import { tokenInspectCommand } from "./inspect.ts";
import { tokenKeygenCommand } from "./keygen.ts";

/** In the order of their use. */
export const tokenCommands: readonly Command[] = [tokenKeygenCommand, tokenCreateCommand, tokenInspectCommand];
