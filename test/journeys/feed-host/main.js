// Somebody's product with Knock's feed in it, as its owner would build it: one connection, as many feeds as the fragment
// lists, each with options of its own.
import { KnockFeedProvider, KnockProvider, NotificationFeed, useKnockFeed, usePreferences } from "@knocklabs/react";
import { createElement as h, useEffect } from "react";
import { createRoot } from "react-dom/client";
import "@knocklabs/react/dist/index.css";

const { host, apiKey, userId, feedId, feeds } = JSON.parse(decodeURIComponent(window.location.hash.slice(1)));

/** How often each feed was told of new items, for the test to look at. */
window.realtime = {};

function Counted({ name }) {
  const { feedClient, useFeedStore } = useKnockFeed();
  const { unread_count, unseen_count, total_count } = useFeedStore((state) => state.metadata);
  useEffect(() => {
    const heard = () => {
      window.realtime[name] = (window.realtime[name] ?? 0) + 1;
    };
    feedClient.on("items.received.realtime", heard);
    return () => feedClient.off("items.received.realtime", heard);
  }, [feedClient, name]);
  return h(
    "section",
    { "aria-label": name, style: { width: 420, height: 480, display: "inline-block" } },
    h("output", { "aria-label": "Counts" }, `unread ${unread_count} unseen ${unseen_count} total ${total_count}`),
    // Else a click leads away from the page.
    h(NotificationFeed, { onNotificationClick: () => {} }),
  );
}

/** The vendor's hook for what a user wants to hear of. */
function Preferences() {
  const { preferences, setPreferences } = usePreferences();
  const set = (inApp) => () =>
    setPreferences({
      workflows: { "new-comment": { channel_types: { in_app_feed: inApp } } },
      categories: {},
      channel_types: {},
    });
  return h(
    "section",
    { "aria-label": "Preferences" },
    h("output", { "aria-label": "Set" }, JSON.stringify(preferences?.workflows ?? null)),
    h("button", { type: "button", onClick: set(false) }, "Mute"),
    h("button", { type: "button", onClick: set(true) }, "Unmute"),
  );
}

createRoot(document.getElementById("root")).render(
  h(
    KnockProvider,
    { apiKey, host, userId },
    h(Preferences),
    ...Object.entries(feeds).map(([name, defaultFeedOptions]) =>
      h(KnockFeedProvider, { key: name, feedId, defaultFeedOptions }, h(Counted, { name })),
    ),
  ),
);
