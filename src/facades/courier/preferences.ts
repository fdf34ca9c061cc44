/** A user's choices of topics. Topics cannot be made yet, so nobody has chosen anything; writing is not implemented. */
import { environmentOf } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { checkId } from "./wire.ts";

export const preferenceRoutes: Routes = (app) => {
  app.get("/users/:user_id/preferences", { config: { access: "user", scope: "read:preferences" } }, async (request) => {
    environmentOf(request);
    checkId("user_id", (request.params as { user_id: string }).user_id);
    return { items: [], paging: { cursor: null, more: false } };
  });
};
