/**
 * The text of server-sent events (HTML standard, 9.2). Data is JSON, hence always one line.
 * @module
 */

/** One event; `id` is what a client sends back as `Last-Event-ID`. */
export const formatEvent = (parts: {
  readonly event?: string;
  readonly id?: number | string | undefined;
  readonly data: unknown;
}): string => {
  const event = parts.event === undefined ? "" : `event: ${parts.event}\n`;
  const id = parts.id === undefined ? "" : `id: ${parts.id}\n`;
  return `${event}${id}data: ${JSON.stringify(parts.data)}\n\n`;
};

/** A comment: keeps proxies from cutting a silent stream, clients pass over it. */
export const keepAliveComment = ": keep-alive\n\n";
