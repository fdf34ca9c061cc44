/** For engines of tests in which no workflow is triggered: whatever is asked of it all the same fails. */
import type { WorkflowOptions } from "../../src/engine/workflow/open.ts";

const unexpected = (what: string) => (): never => {
  throw new Error(`${what} was not expected here`);
};

export const noWorkflows: WorkflowOptions = {
  language: {
    checkTemplate: unexpected("a template"),
    checkText: unexpected("a text"),
    render: unexpected("a template"),
    text: unexpected("a text"),
  },
  fetch: unexpected("a call"),
  accountTimezone: "Etc/UTC",
};
