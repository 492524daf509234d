/**
 * The binary mode of CloudEvents over HTTP: attributes in `ce-…` headers, the data is the body.
 * @module
 */
import {
  type CheckedCloudEvent,
  checkCloudEvent,
  cloudAttributes,
  cloudPrefix,
  decodeAttribute,
  encodeAttribute,
} from "../../../codec/cloud-event.ts";
import type { StoredEvent } from "../../../hub/contract.ts";
import { decodeHeaderValue } from "../header.ts";

/** Whether a request carries an event in binary mode. */
export const isBinary = (headers: Headers): boolean => headers.has("ce-specversion") || headers.has("ce-id");

/** @throws StreamError `invalid_header` */
export const checkBinary = (headers: Headers, data: unknown): CheckedCloudEvent => {
  const attributes: [string, string][] = [];
  headers.forEach((value, name) => {
    if (!name.startsWith(cloudPrefix)) return;
    attributes.push([name.slice(cloudPrefix.length), decodeAttribute(decodeHeaderValue(name, value))]);
  });
  return checkCloudEvent(Object.fromEntries(attributes), data, { attributes: cloudPrefix, data: "" });
};

/** The attributes as headers of an answer; the type of the data is the answer's own `Content-Type`. */
export const attributeHeaders = ({ event, headers }: StoredEvent): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...cloudAttributes(event, headers)]
      .filter(([name]) => name !== "datacontenttype")
      .map(([name, value]) => [cloudPrefix + name, encodeAttribute(value)]),
  );
