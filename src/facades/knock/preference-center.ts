/** What a page for preferences shows a user; what is on it is configured through the management API. */
import type { FastifyInstance } from "fastify";
import { KNOCK_PREFERENCE_CENTER } from "../../http/facade-documents.ts";
import { isObject } from "../../lib/json.ts";
import { client, environmentOf } from "./auth.ts";
import type { Knock } from "./knock.ts";
import { PRESET_CENTER } from "./management/preference-catalog.ts";
import { userOf } from "./path.ts";

const NO_BRANDING = { logo_url: null, icon_url: null, primary_color: null, primary_color_contrast: null };

export function preferenceCenterRoutes(scope: FastifyInstance, { engine }: Knock): void {
  scope.get("/users/:user_id/preference_center/config", client("preferences/read"), async (request) => {
    const { id, name } = environmentOf(request);
    const [user, center] = await Promise.all([
      engine.directory.readUser(id, userOf(request).id),
      engine.documents.read(id, KNOCK_PREFERENCE_CENTER, "default"),
    ]);
    const email = user?.profile.email;
    return {
      enabled: center?.body.enabled === true,
      account_name: name,
      user_email: typeof email === "string" ? email : null,
      knock_branding_required: false,
      branding: { ...NO_BRANDING, dark: NO_BRANDING },
      config: isObject(center?.body.config) ? center.body.config : PRESET_CENTER,
    };
  });
}
