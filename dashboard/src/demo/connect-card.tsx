import { useState } from "react";
import type { ApiUrls, DemoUser } from "./server.ts";

/** How to do in one's own application what this page does. */
export function ConnectCard({ apiUrls, users }: { readonly apiUrls: ApiUrls; readonly users: readonly DemoUser[] }) {
  return (
    <section className="card connect-card" aria-labelledby="connect-title">
      <h2 id="connect-title">Use it in your own app</h2>
      <p>
        Keep Courier’s SDK and give it these four addresses when you sign a user in. Give all four: the SDK fills a
        missing one with Courier’s own, and your user’s token would go there.
      </p>
      <Snippet label="In the browser" text={clientSnippet(apiUrls)} />
      <p>
        On your server, the base URL is the only change. <code>npm run carillon keys</code> prints the API key.
      </p>
      <Snippet label="On your server" text={serverSnippet(apiUrls, users[0]?.userId ?? "demo-ada")} />
    </section>
  );
}

function Snippet({ label, text }: { readonly label: string; readonly text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    window.setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <figure className="snippet">
      <figcaption>
        <span>{label}</span>
        {/* Outside localhost and https a browser offers no clipboard; the text can still be selected. */}
        {navigator.clipboard !== undefined && (
          <button type="button" onClick={() => void copy()} aria-label={`Copy: ${label}`}>
            {copied ? "Copied" : "Copy"}
          </button>
        )}
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard. */}
      <pre tabIndex={0}>{text}</pre>
    </figure>
  );
}

function clientSnippet({ courier, inbox }: ApiUrls): string {
  return `Courier.shared.signIn({
  userId,
  jwt, // from POST ${courier.rest}/auth/issue-token
  apiUrls: {
    courier: {
      rest: "${courier.rest}",
      graphql: "${courier.graphql}",
    },
    inbox: {
      graphql: "${inbox.graphql}",
      webSocket: "${inbox.webSocket}",
    },
  },
});`;
}

function serverSnippet({ courier }: ApiUrls, userId: string): string {
  return `const courier = new Courier({ apiKey, baseURL: "${courier.rest}" });
await courier.send.message({
  message: {
    to: { user_id: "${userId}" },
    content: { title: "Hello", body: "From the SDK" },
    routing: { method: "single", channels: ["inbox"] },
  },
});`;
}
