/** Settings of the environment: all of them for its owner, those that a portal needs for its customers. */
import { callerOf, may, ORGANISATION } from "./access.ts";
import { managedSettings, portalSettings, settingsChange, settingsInstead } from "./environment-settings-fields.ts";
import type { Routes } from "./svix.ts";
import { fields } from "./wire.ts";

const MANAGED = "/management/environment-settings";

export const environmentSettingsRoutes: Routes = (app, svix) => {
  const { settings } = svix.webhooks;

  app.get("/environment/settings", may("ViewBase"), async (request) => {
    return portalSettings(await settings.read(callerOf(request).environment.id));
  });

  app.get(MANAGED, ORGANISATION, async (request) => {
    return managedSettings(await settings.read(callerOf(request).environment.id));
  });

  app.put(MANAGED, ORGANISATION, async (request) => {
    const f = fields(request.body);
    const instead = settingsInstead(f);
    f.done();
    return managedSettings(await settings.update(callerOf(request).environment.id, () => instead));
  });

  app.patch(MANAGED, ORGANISATION, async (request) => {
    const f = fields(request.body);
    const change = settingsChange(f);
    f.done();
    return managedSettings(await settings.update(callerOf(request).environment.id, change));
  });
};
