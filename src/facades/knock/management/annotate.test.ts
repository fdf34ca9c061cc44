import assert from "node:assert/strict";
import { test } from "node:test";
import { annotatedWorkflow } from "./annotate.ts";

test("what the CLI may write into files of their own is told beside it, however deep it lies", () => {
  const mail = {
    type: "channel",
    ref: "email_1",
    channel_overrides: { json_overrides: "{}" },
    template: {
      subject: "Hi",
      settings: { layout_key: "default", pre_content: "{% assign a = 1 %}" },
      visual_blocks: [{ type: "markdown", content: "**Hi**" }, { type: "divider" }],
    },
  };
  const shown = annotatedWorkflow({
    key: "wf",
    active: true,
    sha: "1",
    steps: [{ type: "branch", branches: [{ name: "A", steps: [mail] }] }],
  }) as never as {
    __annotation: object;
    steps: {
      branches: {
        steps: { template: Record<string, object> & { visual_blocks: object[] }; channel_overrides: object }[];
      }[];
    }[];
  };
  assert.deepEqual(shown.__annotation, { readonly_fields: ["key", "active", "sha"], extractable_fields: {} });
  const step = shown.steps[0]?.branches[0]?.steps[0];
  assert.deepEqual(step?.template.__annotation, {
    extractable_fields: {
      visual_blocks: { default: true, file_ext: "json" },
      subject: { default: false, file_ext: "txt" },
    },
  });
  assert.deepEqual(step?.template.settings, {
    layout_key: "default",
    pre_content: "{% assign a = 1 %}",
    __annotation: { extractable_fields: { pre_content: { default: true, file_ext: "txt" } } },
  });
  assert.deepEqual(step?.template.visual_blocks, [
    {
      type: "markdown",
      content: "**Hi**",
      __annotation: { extractable_fields: { content: { default: true, file_ext: "md" } } },
    },
    { type: "divider", __annotation: { extractable_fields: {} } },
  ]);
  assert.deepEqual(step?.channel_overrides, {
    json_overrides: "{}",
    __annotation: { extractable_fields: { json_overrides: { default: true, file_ext: "json" } } },
  });
});
