// Somebody's product that embeds the portal, or makes a page of its own of the vendor's hooks. What it is to do stands
// in the fragment, as JSON.
import { createElement as h } from "react";
import { createRoot } from "react-dom/client";
import {
  AppPortal,
  SvixProvider,
  useAttemptedMessages,
  useAttemptFunctions,
  useEndpoint,
  useEndpointFunctions,
  useEndpointHeaders,
  useEndpointMessageAttempts,
  useEndpointSecret,
  useEndpointStats,
  useEndpoints,
  useEventTypes,
  useMessage,
  useMessageAttempts,
  useMessageEndpoints,
  useMessages,
  useNewEndpoint,
  useSvix,
} from "svix-react";

const { portal, hooks } = JSON.parse(decodeURIComponent(window.location.hash.slice(1)));

function Endpoints({ address }) {
  const list = useEndpoints();
  const form = useNewEndpoint();
  return h(
    "section",
    null,
    h("ul", { "aria-label": "Endpoints" }, ...(list.data ?? []).map((one) => h(Endpoint, { key: one.id, one, list }))),
    h("button", { type: "button", onClick: () => form.url.setValue(address) }, "Fill in"),
    h(
      "button",
      {
        type: "button",
        disabled: form.url.value === "",
        onClick: async () => {
          const { error } = await form.createEndpoint();
          if (error) throw error;
          list.reload();
        },
      },
      "Create",
    ),
  );
}

function Endpoint({ one, list }) {
  const { updateEndpoint, deleteEndpoint } = useEndpointFunctions(one.id);
  const change = async (work) => {
    await work;
    list.reload();
  };
  return h(
    "li",
    null,
    `${one.url} ${one.description} `,
    h(
      "button",
      { type: "button", onClick: () => change(updateEndpoint({ url: one.url, description: "edited" })) },
      "Edit",
    ),
    h("button", { type: "button", onClick: () => change(deleteEndpoint()) }, "Delete"),
    h(Attempts, { endpointId: one.id }),
  );
}

/** What comes of a test, by all hooks that tell of it. */
function Attempts({ endpointId }) {
  const { svix, appId } = useSvix();
  const attempts = useEndpointMessageAttempts(endpointId, { withContent: true });
  const told = {
    endpoint: useEndpoint(endpointId),
    secret: useEndpointSecret(endpointId),
    headers: useEndpointHeaders(endpointId),
    stats: useEndpointStats(endpointId),
    attempted: useAttemptedMessages(endpointId),
    messages: useMessages(),
    eventTypes: useEventTypes(),
    attempts,
  };
  const reload = () => {
    for (const one of Object.values(told)) one.reload();
  };
  const send = () => svix.endpoint.sendExample(appId, endpointId, { eventType: "svix.ping" });
  const patch = () => told.headers.patchEndpointHeaders({ headers: { "X-Hook": "yes" } });
  return h(
    "div",
    null,
    h("button", { type: "button", onClick: send }, "Test"),
    h("button", { type: "button", onClick: patch }, "Add header"),
    h("button", { type: "button", onClick: () => told.secret.rotateSecret({}) }, "Rotate secret"),
    h("button", { type: "button", onClick: reload }, "Look again"),
    ...Object.entries(told).map(([name, one]) => h(Told, { key: name, name, one })),
    attempts.data?.[0] && h(Attempt, { attempt: attempts.data[0] }),
  );
}

function Attempt({ attempt }) {
  const { resendAttempt } = useAttemptFunctions(attempt);
  return h(
    "div",
    null,
    h("button", { type: "button", onClick: resendAttempt }, "Send again"),
    h(Told, { name: "message", one: useMessage(attempt.msgId) }),
    h(Told, { name: "messageEndpoints", one: useMessageEndpoints(attempt.msgId) }),
    h(Told, { name: "messageAttempts", one: useMessageAttempts(attempt.msgId) }),
  );
}

function Told({ name, one }) {
  return h("pre", { "data-told": name }, one.error ? `error: ${one.error}` : JSON.stringify(one.data ?? null));
}

createRoot(document.getElementById("root")).render(
  portal
    ? h(AppPortal, portal)
    : h(
        SvixProvider,
        { appId: hooks.appId, token: hooks.token, options: { serverUrl: hooks.serverUrl } },
        h(Endpoints, { address: hooks.address }),
      ),
);
