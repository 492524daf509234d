/**
 * Follows signed addresses the way a client does: those of S3 over the network, those of the server itself as its HTTP
 * transport serves them.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import type { BodyStore } from "../contract.ts";
import { type BodiesUnderTest, chunksOf } from "./kit.ts";

/** One request. */
export interface AddressRequest {
  readonly method?: "GET" | "PUT";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** What came back; an error's code of ours in place of a body. */
export interface AddressAnswer {
  readonly isOk: boolean;
  readonly bytes: Uint8Array;
  readonly code: string;
}

const ownFront = "/v1/bodies/";

/** Sends it. */
export const follow = async (
  { store, send = fetch }: Pick<BodiesUnderTest, "store" | "send">,
  request: AddressRequest,
): Promise<AddressAnswer> => {
  const { method = "GET", url, headers = {}, body } = request;
  if (url.startsWith(ownFront)) return followOwn(store, method, url.slice(ownFront.length), body);
  const response = await send(url, {
    method,
    headers: { ...headers },
    decompress: false,
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  });
  const bytes = await response.bytes();
  const code = /<Code>(\w+)<\/Code>/.exec(Buffer.from(bytes.subarray(0, 1000)).toString())?.[1] ?? "";
  return { isOk: response.ok, bytes, code };
};

const followOwn = async (
  store: BodyStore,
  method: "GET" | "PUT",
  token: string,
  body: Uint8Array | undefined,
): Promise<AddressAnswer> => {
  const { addresses } = store;
  if (addresses === undefined) throw new Error("The store has made addresses that nobody serves.");
  try {
    if (method === "PUT") {
      await addresses.write(token, chunksOf([body ?? new Uint8Array(0)]));
      return { isOk: true, bytes: new Uint8Array(0), code: "" };
    }
    const { length, bytes } = await addresses.read(token);
    const whole = Buffer.concat(await Array.fromAsync(bytes));
    if (whole.length !== length) throw new Error(`${whole.length} bytes came, ${length} were told.`);
    return { isOk: true, bytes: whole, code: "" };
  } catch (thrown) {
    if (!(thrown instanceof StreamError)) throw thrown;
    return { isOk: false, bytes: new Uint8Array(0), code: thrown.code };
  }
};
