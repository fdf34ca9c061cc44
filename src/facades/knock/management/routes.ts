/** The management API: what the vendor's CLI and its management SDK call, with the environment's secret key. */
import type { Routes } from "../knock.ts";
import { accountRoutes } from "./account.ts";
import { channelRoutes } from "./channels.ts";
import { commitRoutes } from "./commits.ts";
import { guideDefinitionRoutes } from "./guides.ts";
import { layoutRoutes } from "./layouts.ts";
import { messageTypeRoutes } from "./message-types.ts";
import { managementNotImplemented } from "./not-implemented.ts";
import { partialRoutes } from "./partials.ts";
import { preferenceCatalogRoutes } from "./preference-catalog.ts";
import { previewRoutes } from "./previews.ts";
import { testRunRoutes } from "./test-run.ts";
import { translationRoutes } from "./translations.ts";
import { workflowRoutes } from "./workflows.ts";

export const MANAGEMENT_ROUTES: readonly Routes[] = [
  workflowRoutes,
  testRunRoutes,
  layoutRoutes,
  partialRoutes,
  translationRoutes,
  messageTypeRoutes,
  guideDefinitionRoutes,
  previewRoutes,
  commitRoutes,
  channelRoutes,
  accountRoutes,
  preferenceCatalogRoutes,
  managementNotImplemented,
];
