/**
 * Retention policies: what is kept of the subjects that a filter names.
 * @module
 */
import { parsePolicy, policyView } from "../../codec/policy.ts";
import { parseFilter, type SubjectFilter } from "../../core/subject.ts";
import { structuredForms, structuredResponse } from "./answer.ts";
import { parseStructured } from "./body.ts";
import { bodyForm, checkContentEncoding } from "./media.ts";
import * as operations from "./openapi/policies.ts";
import { type HttpCall, pathParameter, type Route } from "./route.ts";

const collection = "/v1/policies";
const one = `${collection}/:filter`;
/** A policy is a few short fields and at most a hundred names. */
const policyBodyBytesMax = 64 * 1024;

/** The routes of policies. */
export const policyRoutes = (): readonly Route[] => [
  {
    method: "GET",
    path: collection,
    offers: structuredForms,
    handle: listPolicies,
    operation: operations.listPoliciesOperation,
  },
  { method: "PUT", path: one, offers: structuredForms, handle: putPolicy, operation: operations.putPolicyOperation },
  { method: "GET", path: one, offers: structuredForms, handle: showPolicy, operation: operations.getPolicyOperation },
  {
    method: "DELETE",
    path: one,
    offers: structuredForms,
    handle: deletePolicy,
    operation: operations.deletePolicyOperation,
  },
];

/** @throws StreamError `malformed_request`, `invalid_filter` */
const filterParameter = (call: HttpCall): SubjectFilter => parseFilter(pathParameter(call, "filter"));

const listPolicies = async ({ broker, representation }: HttpCall): Promise<Response> =>
  structuredResponse({ policies: (await broker.policies()).map(policyView) }, representation);

const putPolicy = async (call: HttpCall): Promise<Response> => {
  const filter = filterParameter(call);
  checkContentEncoding(call.request);
  const bytes = await call.intake.bytes(policyBodyBytesMax);
  // Without a body it is the policy that keeps everything, and then the type of the body does not matter.
  const raw = bytes.length === 0 ? {} : parseStructured(bytes, bodyForm(call.request, structuredForms) ?? "json");
  const policy = parsePolicy(raw);
  const { created } = await call.broker.putPolicy(filter, policy);
  return structuredResponse(policyView({ filter, policy }), call.representation, created ? 201 : 200);
};

const showPolicy = async (call: HttpCall): Promise<Response> => {
  const filter = filterParameter(call);
  const policy = await call.broker.policy(filter);
  return structuredResponse(policyView({ filter, policy }), call.representation);
};

const deletePolicy = async (call: HttpCall): Promise<Response> => {
  const filter = filterParameter(call);
  const policy = await call.broker.deletePolicy(filter);
  return structuredResponse(policyView({ filter, policy }), call.representation);
};
