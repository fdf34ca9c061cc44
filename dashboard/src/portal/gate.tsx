/** From a link to a session, or to a page that says why there is none. */
import { useEffect, useState } from "react";
import { PortalPage } from "./portal-page.tsx";
import { explain } from "./problem.tsx";
import { linkTo, readRoute, useHash } from "./route.ts";
import { forgetSession, LinkOver, openLink, readLink, type Session, storedSession } from "./session.ts";

type Closed = "no-link" | "link-over" | "ended" | "signed-out";

type State =
  | { readonly kind: "opening" }
  | { readonly kind: "open"; readonly session: Session }
  | { readonly kind: "closed"; readonly why: Closed }
  | { readonly kind: "failed"; readonly error: unknown };

export function Gate() {
  const hash = useHash();
  const [state, setState] = useState<State>({ kind: "opening" });
  const [tries, setTries] = useState(0);

  useEffect(() => {
    let wanted = true;
    const settle = (next: State): void => {
      if (wanted) setState(next);
    };
    const link = readLink(hash);
    if (link === null) {
      const route = readRoute(hash);
      setState((now) => stateFor(now, route?.appId ?? null));
      return;
    }
    settle({ kind: "opening" });
    openLink(link).then(
      (session) => {
        settle({ kind: "open", session });
        // The code is used up, and has no business in the history.
        if (wanted) window.location.replace(linkTo(session.appId, "endpoints"));
      },
      (error: unknown) =>
        settle(error instanceof LinkOver ? { kind: "closed", why: "link-over" } : { kind: "failed", error }),
    );
    return () => {
      wanted = false;
    };
    // Counting asks for another try.
  }, [hash, tries]);

  if (state.kind === "opening") return <p className="gate quiet">Opening…</p>;
  if (state.kind === "closed") return <ClosedPage why={state.why} />;
  if (state.kind === "failed") {
    return (
      <main className="gate" role="alert">
        <h1>The portal could not be opened</h1>
        <p>{explain(state.error)[0]}</p>
        <button type="button" className="button" onClick={() => setTries(tries + 1)}>
          Try again
        </button>
      </main>
    );
  }
  const { session } = state;
  const close = (why: Closed): void => {
    forgetSession(session.appId);
    setState({ kind: "closed", why });
  };
  return (
    <PortalPage
      key={session.token}
      session={session}
      ended={() => close("ended")}
      signedOut={() => close("signed-out")}
    />
  );
}

/** What a fragment that is no link means: the session of its application, as long as there is one. */
function stateFor(now: State, appId: string | null): State {
  if (appId === null) return now.kind === "open" || now.kind === "closed" ? now : { kind: "closed", why: "no-link" };
  if (now.kind === "open" && now.session.appId === appId) return now;
  const session = storedSession(appId);
  if (session !== null) return { kind: "open", session };
  return now.kind === "closed" ? now : { kind: "closed", why: "no-link" };
}

const WORDS: { readonly [why in Closed]: readonly [title: string, text: string] } = {
  "no-link": [
    "No one is signed in here",
    "Open your webhooks from the application that brought you here: it gives you a link of your own.",
  ],
  "link-over": [
    "This link is no longer valid",
    "It was used before, or its time is over. Go back to the application it came from and open it anew.",
  ],
  ended: ["Your session has ended", "Go back to the application that brought you here and open your webhooks anew."],
  "signed-out": ["You are signed out", "You can close this page."],
};

function ClosedPage({ why }: { readonly why: Closed }) {
  const [title, text] = WORDS[why];
  return (
    <main className="gate" role="alert">
      <h1>{title}</h1>
      <p>{text}</p>
    </main>
  );
}
