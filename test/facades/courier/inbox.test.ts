import { inboxScenarios } from "./inbox-scenarios.ts";
import { startFakeTarget } from "./inbox-target.ts";

inboxScenarios("a fake engine", () => startFakeTarget());
