import assert from "node:assert/strict";
import { test } from "node:test";
import KnockMgmt from "@knocklabs/mgmt";
import { forEachKnock } from "../knock-target.ts";

const environment = "development";

forEachKnock((name, open) => {
  const sdk = async () => {
    const target = await open();
    return new KnockMgmt({ serviceToken: `knock_st_${target.secretKey}`, baseURL: target.url, maxRetries: 0 });
  };

  test(`${name}: workflows: upsert, retrieve, list, activate, run, preview, validate`, async () => {
    const { workflows } = await sdk();
    const steps = [
      {
        type: "channel" as const,
        ref: "feed",
        channel_key: "in-app",
        template: { markdown_body: "Hi {{ recipient.id }}" },
      },
      { type: "delay" as const, ref: "wait", settings: { delay_for: { unit: "minutes" as const, value: 5 } } },
    ];
    for (const key of ["sdk-a", "sdk-b", "sdk-c"]) {
      const { workflow } = await workflows.upsert(key, { environment, workflow: { name: key, steps }, commit: true });
      assert.deepEqual([workflow.key, workflow.active, workflow.valid], [key, true, true]);
    }
    assert.equal((await workflows.retrieve("sdk-a", { environment })).steps.length, 2);
    const keys: string[] = [];
    for await (const { key } of workflows.list({ environment, limit: 2 })) keys.push(key);
    assert.deepEqual(keys, ["sdk-a", "sdk-b", "sdk-c"]);
    assert.equal((await workflows.activate("sdk-a", { environment, status: false })).workflow.active, false);
    const run = await workflows.run("sdk-b", { environment, recipients: ["m1"] });
    assert.match(run.workflow_run_id, /^[0-9a-f-]{36}$/);
    const preview = await workflows.steps.previewTemplate("feed", {
      workflow_key: "sdk-b",
      environment,
      recipient: "m1",
    });
    assert.equal(preview.result, "success");
    await assert.rejects(
      workflows.validate("sdk-a", { environment, workflow: { name: "", steps: [] } }),
      (error: { status?: number }) => error.status === 422,
    );
    await assert.rejects(workflows.retrieve("none", { environment }), KnockMgmt.NotFoundError);
  });

  test(`${name}: everything else the SDK has that this server has`, async () => {
    const client = await sdk();
    const layout = { name: "L", html_layout: "<p>{{ content }}</p>", text_layout: "{{ content }}" };
    assert.equal(
      (await client.emailLayouts.upsert("sdk", { environment, email_layout: layout })).email_layout.key,
      "sdk",
    );
    const partial = { name: "P", type: "text" as const, content: "x" };
    assert.equal((await client.partials.upsert("sdk", { environment, partial, commit: true })).partial.key, "sdk");
    const translation = { content: '{"a":"b"}', format: "json" as const };
    await client.translations.upsert("en", { environment, namespace: "sdk", translation });
    assert.equal(
      (await client.translations.retrieve("en", { environment, namespace: "sdk" })).translation.namespace,
      "sdk",
    );
    // Of several words this SDK makes one text with commas.
    const resource_type = ["translation" as const, "email_layout" as const];
    await client.commits.commitAll({ environment, commit_message: "some", resource_type });
    const two = (await client.commits.list({ environment, resource_type })).entries;
    assert.deepEqual(two.map(({ resource }) => resource.type).sort(), ["email_layout", "translation"]);
    assert.equal((await client.commits.commitAll({ environment, commit_message: "M" })).result, "success");
    const types: string[] = [];
    for await (const { resource } of client.commits.list({ environment, limit: 1 })) types.push(resource.type);
    assert.ok(types.includes("translation") && types.includes("email_layout"));
    assert.equal((await client.environments.retrieve("development")).slug, "development");
    const channels: string[] = [];
    for await (const { key } of client.channels.list({ limit: 2 })) channels.push(key);
    assert.deepEqual(channels.sort(), ["chat", "email", "guide", "in-app", "push", "sms"]);
    const group = {
      name: "G",
      channel_type: "sms" as const,
      channel_rules: [{ channel_key: "sms", rule_type: "always" as const }],
    };
    assert.equal((await client.channelGroups.upsert("sdk", { channel_group: group })).channel_group.key, "sdk");
    await client.channelGroups.delete("sdk");
    assert.equal((await client.auth.verify()).type, "service_token");
    assert.match((await client.apiKeys.exchange({ environment })).api_key, /./);
    assert.deepEqual((await client.variables.list({ environment })).entries, []);
    assert.deepEqual((await client.members.list()).entries, []);
    assert.deepEqual((await client.audiences.list({ environment })).entries, []);
    assert.deepEqual((await client.branches.list({ environment })).entries, []);
    const message_type = { name: "T", description: null, preview: "<p></p>" };
    await client.messageTypes.upsert("sdk", { environment, message_type, commit: true });
    assert.equal((await client.messageTypes.retrieve("sdk", { environment })).owner, "user");
    const step = { ref: "s", schema_key: "sdk", schema_semver: "0.0.1", schema_variant_key: "default" };
    const guide = { channel_key: "guide", name: "G", steps: [step] };
    assert.equal((await client.guides.upsert("sdk", { environment, guide, commit: true })).guide.active, true);
    assert.equal((await client.guides.activate("sdk", { environment, status: false })).guide.active, false);
    const guides: string[] = [];
    for await (const { key } of client.guides.list({ environment })) guides.push(key);
    assert.deepEqual([guides, (await client.guides.archive("sdk")).result], [["sdk"], "success"]);
    await assert.rejects(client.broadcasts.list({ environment }), (error: { status?: number }) => error.status === 501);
  });
});
