/**
 * Who sends a request: the token of its `Authorization` header, turned into a principal. Without authentication every
 * request is the anonymous principal's and no header is looked at.
 * @module
 */
import type { Authenticator, Principal } from "../../auth/contract.ts";
import { bearerChallenge, bearerToken } from "../../codec/bearer.ts";
import { StreamError } from "../../core/errors.ts";
import { problemResponse } from "./problem.ts";

/**
 * The caller; a response that asks for a token when there is none.
 * @throws StreamError `unauthenticated`, `token_expired`, also from the promise
 */
export const callerOf = (request: Request, authenticator: Authenticator): Principal | Promise<Principal> | Response => {
  const { anonymous } = authenticator;
  if (anonymous !== undefined) return anonymous;
  const header = request.headers.get("authorization");
  return header === null ? tokenNeeded() : authenticator.authenticate(bearerToken(header));
};

const tokenNeeded = (): Response =>
  problemResponse(new StreamError("unauthenticated", "Send a token as Authorization: Bearer TOKEN."), {
    "www-authenticate": bearerChallenge,
  });
