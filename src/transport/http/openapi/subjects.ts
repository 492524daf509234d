/**
 * How subjects appear in the OpenAPI document.
 * @module
 */
import { sequenceMax } from "../../../core/limits.ts";
import {
  inQuery,
  integer,
  type Operation,
  problems,
  ref,
  storeErrors,
  structured,
  subjectInPath,
} from "./operation.ts";
import { limitInQuery } from "./read.ts";

export const subjectsOperation: Operation = {
  operationId: "listSubjects",
  tags: ["subjects"],
  summary: "List subjects in byte order",
  parameters: [
    inQuery("filter", "Only subjects that match; all when left out.", ref("SubjectFilter")),
    inQuery("after", "Only subjects behind this one: the last of the page before.", { type: "string" }),
    { ...limitInQuery, description: "Subjects at most." },
  ],
  responses: {
    "200": structured("A page of subjects.", ref("SubjectList")),
    ...problems([...storeErrors, "invalid_filter", "invalid_parameter", "not_acceptable"]),
  },
};

export const subjectOperation: Operation = {
  operationId: "getSubject",
  tags: ["subjects"],
  summary: "One subject",
  parameters: [subjectInPath],
  responses: {
    "200": structured("All that is known of it.", ref("SubjectDetails")),
    ...problems([...storeErrors, "subject_not_found", "invalid_subject", "not_acceptable"]),
  },
};

export const purgeOperation: Operation = {
  operationId: "deleteMessages",
  tags: ["subjects"],
  summary: "Delete messages from the first through a sequence",
  description: "Sequences go on where they were.",
  parameters: [
    subjectInPath,
    {
      name: "through",
      in: "query",
      required: true,
      description: "The last sequence to delete; beyond the end deletes all.",
      schema: integer(0, sequenceMax),
      example: 0,
    },
  ],
  responses: {
    "200": structured("How many were deleted.", {
      type: "object",
      required: ["deleted"],
      properties: { deleted: integer(0, sequenceMax) },
    }),
    ...problems([...storeErrors, "invalid_subject", "invalid_parameter", "not_acceptable"]),
  },
};
