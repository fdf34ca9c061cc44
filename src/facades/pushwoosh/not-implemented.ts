/** Methods that are not there. Those that devices call are answered all the same: a client must not stop for them. */
import { Refusal } from "../../engine/refusal.ts";
import type { Method } from "./pushwoosh.ts";

/** Clients call these while they start or in passing, and do not look at the answer. */
const DEVICE_METHODS = [
  "createTestDevice",
  "getInApps",
  "getNearestZone",
  "getPopupFormContent",
  "recordPopupFormEvent",
  "richMediaAction",
  "safari",
  "setMADID",
  "triggerInAppAction",
];

const SERVER_METHODS = [
  "cancelMessage",
  "createTargetedMessage",
  "getMessageDetails",
  "getMsgStats",
  "getMessageLog",
  "getAppStats",
  "getResults",
  "getApplication",
  "getApplications",
  "createApplication",
  "updateApplication",
  "deleteApplication",
  "getCampaigns",
  "createCampaign",
  "deleteCampaign",
  "getCampaignStats",
  "getPreset",
  "listPresets",
  "createPreset",
  "deletePreset",
  "listFilters",
  "createFilter",
  "deleteFilter",
  "getTagStats",
  "listTags",
  "addTag",
  "deleteTag",
  "bulkSetTags",
  "bulkRegisterDevice",
  "exportSegment",
  "createEmailMessage",
  "addGeoZone",
  "updateGeoZone",
  "deleteGeoZone",
  "addGeoZoneCluster",
  "deleteGeoZoneCluster",
];

export const notImplementedMethods: readonly Method[] = [
  ...DEVICE_METHODS.map((name): Method => ({ name, access: "device", run: () => null })),
  ...SERVER_METHODS.map(
    (name): Method => ({
      name,
      access: "server",
      run: () => {
        throw new Refusal("not_implemented", `${name} is not implemented`);
      },
    }),
  ),
];
