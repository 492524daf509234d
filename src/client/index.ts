/**
 * The TypeScript SDK of MiniToolStream: publishes, subscriptions, fetches and acknowledgements over one WebSocket that
 * reconnects by itself. Runs in browsers, Bun and Node; what is exported here is all that is public.
 * @module
 */
export type { Environment, FetchLike, WebSocketConstructor, WebSocketLike } from "./environment.ts";
export { type ClientErrorCode, EpochChangedError, MtsError, type MtsErrorCode, type MtsErrorFields } from "./errors.ts";
export type { AckMode, Consumer } from "./http.ts";
export type { Message } from "./message.ts";
export { connect, type Mts, type Page, type Settled } from "./mts.ts";
export type { Notifications } from "./notifications.ts";
export type {
  BatchMessage,
  Body,
  BodyPointer,
  CallOptions,
  ConnectOptions,
  ConsumerOptions,
  Delay,
  DelayedBatchMessage,
  DelayedPublishOptions,
  DeliverAs,
  DraftOptions,
  FetchOptions,
  From,
  Notification,
  NotifyOptions,
  OnEpochChange,
  PublishOptions,
  Receipt,
  ScheduledReceipt,
  Status,
  SubscribeOptions,
} from "./options.ts";
export type { Acknowledged } from "./settler.ts";
export type { Subscription } from "./subscription.ts";
