/**
 * `auth`: shows a token, as the first frame of a socket whose upgrade had none, or later to go on past the expiry of
 * the one before. Where no tokens are asked for it is answered all the same, so that a client need not know.
 * @module
 */
import type { Connection } from "../connection.ts";
import { type Frame, invalidParameter } from "../frames.ts";

export const auth = ({ caller, context }: Connection, frame: Frame, bytes: number): void => {
  const { token } = frame.fields;
  if (typeof token !== "string" || token === "") throw invalidParameter("token", "token must be the token, a string.");
  const { anonymous } = context.authenticator;
  if (anonymous === undefined) caller.show(token, frame.id, bytes);
  else caller.answer(anonymous, frame.id);
};
