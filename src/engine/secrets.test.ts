import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../lib/json.ts";
import { NO_CONTENT } from "./model.ts";
import {
  changeDeliverySecrets,
  changeSecrets,
  changeSentHeaders,
  changeStepSecrets,
  openChannelData,
  sealChannelData,
} from "./secrets.ts";

const seal = (text: string): string => `<${text}>`;
const open = (text: string): string => text.slice(1, -1);
const keyless = (text: string): string => text;

test("of a workflow what its steps log in with is secret, at any depth, and nothing else", () => {
  const workflow = {
    name: "W",
    trigger_data_json_schema: { properties: { url: { type: "string" }, signing_key: { type: "string" } } },
    steps: [
      {
        ref: "a",
        type: "http_fetch",
        settings: { url: "u", method: "get", signing_key: "k", query_params: "{{ q }}" },
      },
      {
        type: "branch",
        branches: [
          {
            steps: [
              {
                template: {
                  url: "v",
                  body: "b",
                  headers: [
                    { key: "x", value: "y" },
                    { key: "z", value: "w" },
                  ],
                },
              },
            ],
          },
        ],
      },
      { type: "update_data", settings: { data: { headers: { deep: "not ours", url: "u" } } } },
    ],
  };
  const sealed = changeStepSecrets(workflow, seal);
  assert.deepEqual(sealed, {
    ...workflow,
    steps: [
      {
        ref: "a",
        type: "http_fetch",
        settings: { url: "<u>", method: "get", signing_key: "<k>", query_params: "<{{ q }}>" },
      },
      {
        type: "branch",
        branches: [
          {
            steps: [
              {
                template: {
                  url: "<v>",
                  body: "b",
                  headers: [
                    { key: "x", value: "<y>" },
                    { key: "z", value: "<w>" },
                  ],
                },
              },
            ],
          },
        ],
      },
      { type: "update_data", settings: { data: { headers: { deep: "not ours", url: "<u>" } } } },
    ],
  });
  assert.deepEqual(changeStepSecrets(sealed, open), workflow);
  assert.equal(changeStepSecrets(workflow, keyless), workflow);
  assert.deepEqual(changeSecrets("workflow", { active: true, draft: null }, seal), { active: true, draft: null });
});

test("channel data is one text but for the tokens of devices, and comes back whatever it holds", () => {
  const datas: JsonObject[] = [
    { connections: [{ access_token: "t", channel_id: "C" }], token: null, ms_teams_tenant_id: "x" },
    { devices: [{ token: "d", locale: null }] },
    { player_ids: ["p"], more: { a: [1] } },
    { "carillon-sealed": "somebody's own", a: 1 },
    { "carillon-sealed": 5 },
    {},
  ];
  for (const data of datas) {
    for (const change of [seal, keyless]) {
      const stored = sealChannelData(data, change);
      const back = openChannelData(stored, change === seal ? open : keyless);
      assert.deepEqual(back, data, JSON.stringify(stored));
    }
  }
  assert.deepEqual(Object.keys(sealChannelData(datas[0] as JsonObject, seal)), ["carillon-sealed"]);
  assert.equal(sealChannelData(datas[1] as JsonObject, seal), datas[1]);
});

test("of a delivery the tokens of its chat and its author's request are secret", () => {
  const slack = { access_token: "t", channel: "C", incoming_webhook: { url: "u", channel: "#c" } };
  const request = { method: "POST", url: "v", headers: { a: "b" }, body: "c" };
  const delivery = { address: { slack }, content: { ...NO_CONTENT, raw: { request, payload: 1 } } };
  const sealed = changeDeliverySecrets(delivery, seal);
  assert.deepEqual(sealed, {
    address: { slack: { access_token: "<t>", channel: "C", incoming_webhook: { url: "<u>", channel: "#c" } } },
    content: {
      ...NO_CONTENT,
      raw: { request: { method: "POST", url: "<v>", headers: { a: "<b>" }, body: "c" }, payload: 1 },
    },
  });
  assert.deepEqual(changeDeliverySecrets(sealed, open), delivery);
  assert.equal(changeDeliverySecrets(delivery, keyless), delivery);
});

test("of the headers that were sent those are secret which are not ours", () => {
  const ours = { "Content-Type": "a", "user-agent": "b", "svix-id": "c", "webhook-signature": "d" };
  const sealed = changeSentHeaders({ ...ours, Authorization: "e", "svix-own": "f" }, seal);
  assert.deepEqual(sealed, { ...ours, Authorization: "<e>", "svix-own": "<f>" });
});
