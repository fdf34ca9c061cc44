/** What a page for preferences shows a user; what is on it is configured through the management API. */
import type { FastifyInstance } from "fastify";
import type { Document } from "../../engine/model.ts";
import { VARIABLE } from "../../engine/workflow/model.ts";
import { KNOCK_PREFERENCE_CENTER } from "../../http/facade-documents.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { client, environmentOf } from "./auth.ts";
import type { Knock } from "./knock.ts";
import { PRESET_CENTER } from "./management/preference-catalog.ts";
import { userOf } from "./path.ts";

const BRANDING = ["logo_url", "icon_url", "primary_color", "primary_color_contrast"] as const;

export function preferenceCenterRoutes(scope: FastifyInstance, { engine }: Knock): void {
  scope.get("/users/:user_id/preference_center/config", client("preferences/read"), async (request) => {
    const { id, name } = environmentOf(request);
    const { id: userId } = userOf(request);
    const [user, center, branding] = await Promise.all([
      engine.directory.readUser(id, userId),
      engine.documents.read(id, KNOCK_PREFERENCE_CENTER, "default"),
      engine.documents.read(id, VARIABLE, "branding"),
    ]);
    const email = user?.profile.email;
    return {
      enabled: center?.body.enabled === true,
      account_name: name,
      // A label rather than an address: whoever has none is called by the id.
      user_email: typeof email === "string" && email !== "" ? email : userId,
      knock_branding_required: false,
      branding: { ...brandingIn(branding, ""), dark: brandingIn(branding, "dark_") },
      config: isObject(center?.body.config) ? center.body.config : PRESET_CENTER,
    };
  });
}

/** Of the public variable `branding`, whose fields for dark pages begin with `dark_`. */
function brandingIn(variable: Document | null, prefix: "" | "dark_"): JsonObject {
  const value = variable?.body.secret === true ? null : variable?.body.value;
  const fields = isObject(value) ? value : {};
  return Object.fromEntries(
    BRANDING.map((field) => {
      const said = fields[`${prefix}${field}`];
      return [field, typeof said === "string" ? said : null];
    }),
  );
}
