/**
 * Which transport it is.
 * @module
 */
import { connectGrpcSender } from "./grpc-sender.ts";
import type { Options } from "./options.ts";
import { restSender } from "./rest-sender.ts";
import type { Sender } from "./sender.ts";
import { connectWsSender } from "./ws-sender.ts";

/** Opens the transport that the options name. @throws Error when nobody answers there */
export const openSender = (options: Options): Promise<Sender> => {
  switch (options.transport) {
    case "rest":
      return Promise.resolve(restSender(options));
    case "grpc":
      return connectGrpcSender(options);
    case "ws":
      return connectWsSender(options);
  }
};
