/** What clients ask before anything else. */
import type { JsonObject } from "../../lib/json.ts";
import type { Call } from "./call.ts";
import type { Method, World } from "./pushwoosh.ts";

export const configMethods: readonly Method[] = [
  { name: "getConfig", access: "device", run: getConfig },
  { name: "getPopupForms", access: "device", run: () => ({ popup_forms: [] }) },
];

/**
 * Without a key for web pushes clients do without pushes; their inbox works. Nothing else that can be switched on here
 * is there.
 */
async function getConfig(call: Call, { settings }: World): Promise<JsonObject> {
  const key = await settings.vapidKey(call.environment.id);
  return {
    features: {
      ...(key === null ? {} : { vapid_key: key }),
      page_visit: { enabled: false, entrypoint: "" },
      events: [],
      web_in_apps: { enabled: false },
      subscription_prompt: { use_case: "not-used" },
    },
  };
}
