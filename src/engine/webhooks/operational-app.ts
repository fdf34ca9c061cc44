/**
 * The hidden application of an environment, whose endpoints are told of what happens in the environment itself. It has
 * no document: every environment has it from its beginning, nobody can change it, and no list shows it.
 */
import { timeOf, withPrefix } from "../../lib/ids.ts";
import type { EnvironmentId } from "../model.ts";
import type { AppId, Application } from "./model.ts";

export function operationsAppId(environmentId: EnvironmentId): AppId {
  return withPrefix("app", environmentId);
}

export function isOperationsApp(environmentId: EnvironmentId, appId: AppId): boolean {
  return appId.slice(-26) === environmentId.slice(-26);
}

export function operationsApp(environmentId: EnvironmentId): Application {
  const createdAt = timeOf(environmentId);
  return {
    environmentId,
    id: operationsAppId(environmentId),
    uid: null,
    name: "Operational webhooks",
    throttleRate: null,
    metadata: {},
    createdAt,
    updatedAt: createdAt,
  };
}
