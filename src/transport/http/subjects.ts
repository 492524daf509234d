/**
 * Subjects: the listing, the details of one, and deleting messages.
 * @module
 */
import { subjectDetailsView, subjectView } from "../../codec/view.ts";
import { pageMessagesDefault, pageMessagesMax, sequenceMax } from "../../core/limits.ts";
import { parseFilter } from "../../core/subject.ts";
import { structuredForms, structuredResponse } from "./answer.ts";
import { purgeOperation, subjectOperation, subjectsOperation } from "./openapi/subjects.ts";
import { invalidParameter, parseInteger, queryInteger } from "./query.ts";
import { type HttpCall, type Route, subjectParameter } from "./route.ts";

/** The routes of subjects. */
export const subjectRoutes = (): readonly Route[] => [
  {
    method: "GET",
    path: "/v1/subjects",
    query: ["filter", "after", "limit"],
    offers: structuredForms,
    handle: async ({ query, representation, broker }) => {
      const { subjects, hasMore } = await broker.subjects({
        filter: parseFilter(query.get("filter") ?? ">"),
        after: query.get("after"),
        limit: queryInteger(query, "limit", { min: 1, max: pageMessagesMax }, pageMessagesDefault),
      });
      return structuredResponse({ subjects: subjects.map(subjectView), has_more: hasMore }, representation);
    },
    operation: subjectsOperation,
  },
  {
    method: "GET",
    path: "/v1/subjects/:subject",
    offers: structuredForms,
    handle: async (call) => {
      const details = await call.broker.subject(subjectParameter(call));
      return structuredResponse(subjectDetailsView(details, call.broker.epoch), call.representation);
    },
    operation: subjectOperation,
  },
  {
    method: "DELETE",
    path: "/v1/subjects/:subject/messages",
    query: ["through"],
    offers: structuredForms,
    handle: async (call) => {
      const { deleted } = await call.broker.purge(subjectParameter(call), throughParameter(call));
      return structuredResponse({ deleted }, call.representation);
    },
    operation: purgeOperation,
  },
];

/** Required, so that nobody deletes a subject by leaving something out. */
const throughParameter = ({ query }: HttpCall): number => {
  const raw = query.get("through");
  if (raw !== undefined) return parseInteger("through", raw, { min: 0, max: sequenceMax });
  throw invalidParameter("through", "through is required: the last sequence to delete.");
};
