/** The portal of one application for one signed-in visitor: its head, its ways about, and the part that is asked for. */
import { useEffect, useMemo, useRef } from "react";
import type { SvixOptions } from "svix";
import { SvixProvider, useSvix } from "svix-react";
import { call, watchedFetch } from "./api.ts";
import { EndpointList } from "./endpoint-list.tsx";
import { EndpointPage } from "./endpoint-page.tsx";
import { EventTypesProvider } from "./event-types.tsx";
import { EventTypesPage } from "./event-types-page.tsx";
import { isEmbedded } from "./frame.ts";
import { customProperties, ownPicture } from "./look.ts";
import { MessageList } from "./message-list.tsx";
import { MessagePage } from "./message-page.tsx";
import { NewEndpoint } from "./new-endpoint.tsx";
import { type Portal, PortalContext, usePortal } from "./portal-context.ts";
import { Retryable } from "./problem.tsx";
import { linkTo, type Route, readRoute, useHash } from "./route.ts";
import { currentScheme, onScheme } from "./scheme.ts";
import { SERVER_URL, type Session } from "./session.ts";
import { PLAIN, type PortalSettings } from "./settings.ts";
import { TasksProvider } from "./tasks.tsx";
import { useAction } from "./use-action.ts";
import { useLoaded } from "./use-loaded.ts";

const QUERY = new URLSearchParams(window.location.search);

interface PortalPageProps {
  readonly session: Session;
  /** The server no longer takes the token. */
  readonly ended: () => void;
  readonly signedOut: () => void;
}

export function PortalPage({ session, ended, signedOut }: PortalPageProps) {
  const { appId, token, capabilities } = session;
  const endedNow = useRef(ended);
  endedNow.current = ended;

  const send = useMemo(() => watchedFetch(() => endedNow.current()), []);
  const options = useMemo<SvixOptions>(() => ({ serverUrl: SERVER_URL, fetch: send }), [send]);
  // A token that may not read the settings still gets a page.
  const settings = useLoaded(
    useMemo(
      () => () => call<PortalSettings>(send, token, "GET", "/environment/settings").catch(() => PLAIN),
      [send, token],
    ),
  ).data;

  const portal = useMemo<Portal | null>(() => {
    if (settings === undefined) return null;
    return {
      appId,
      settings,
      may: (capability) => capabilities.includes(capability),
      call: (method, path, body) => call(send, token, method, path, body),
    };
  }, [appId, settings, capabilities, send, token]);

  if (portal === null) return <p className="gate quiet">Opening…</p>;
  return (
    <SvixProvider appId={appId} token={token} options={options}>
      <PortalContext value={portal}>
        <EventTypesProvider>
          <TasksProvider>
            <Shell signedOut={signedOut} />
          </TasksProvider>
        </EventTypesProvider>
      </PortalContext>
    </SvixProvider>
  );
}

function Shell({ signedOut }: Pick<PortalPageProps, "signedOut">) {
  const { appId, settings, may } = usePortal();
  const { svix } = useSvix();
  const hash = useHash();
  const route: Route = useMemo(() => readRoute(hash)?.route ?? { page: "endpoints" }, [hash]);
  const logout = useAction(async () => {
    await svix.authentication.logout();
    signedOut();
  });
  useLook(settings);
  const place = placeOf(route);
  useArrival(place);

  const title = settings.displayName ?? "Webhooks";
  useEffect(() => {
    document.title = title;
  }, [title]);
  const picture = ownPicture(QUERY.get("icon"), settings.logoUrl);
  return (
    <div className="portal">
      <header className="head">
        <div className="brand">
          {picture === null ? <Mark /> : <img src={picture} alt="" height="24" />}
          <span>{title}</span>
        </div>
        <nav aria-label="Parts of the portal">
          <Part to={linkTo(appId, "endpoints")} current={route.page.includes("endpoint")}>
            Endpoints
          </Part>
          {may("ViewBase") && (
            <>
              <Part to={linkTo(appId, "messages")} current={route.page.startsWith("message")}>
                Messages
              </Part>
              <Part to={linkTo(appId, "event-types")} current={route.page === "event-types"}>
                Event types
              </Part>
            </>
          )}
        </nav>
        {/* The page around an embedded portal has its own way out. */}
        {!isEmbedded && (
          <button type="button" className="button quiet-button" disabled={logout.busy} onClick={() => logout.run()}>
            Log out
          </button>
        )}
      </header>
      <main>
        <Retryable key={place}>
          <Page route={route} />
        </Retryable>
      </main>
    </div>
  );
}

function Page({ route }: { readonly route: Route }) {
  switch (route.page) {
    case "endpoints":
      return <EndpointList />;
    case "new-endpoint":
      return <NewEndpoint />;
    case "endpoint":
      return <EndpointPage id={route.id} tab={route.tab} />;
    case "messages":
      return <MessageList />;
    case "message":
      return <MessagePage id={route.id} />;
    case "event-types":
      return <EventTypesPage />;
  }
}

function Part({
  to,
  current,
  children,
}: {
  readonly to: string;
  readonly current: boolean;
  readonly children: string;
}) {
  return (
    <a className="part" href={to} aria-current={current ? "page" : undefined}>
      {children}
    </a>
  );
}

/** Puts the environment's colours into the style sheet, those of light or dark. */
function useLook(settings: PortalSettings): void {
  useEffect(() => {
    const { style } = document.documentElement;
    let names: readonly string[] = [];
    const apply = (): void => {
      for (const name of names) style.removeProperty(name);
      const properties = customProperties(settings, QUERY, currentScheme());
      for (const [name, value] of properties) style.setProperty(name, value);
      names = [...properties.keys()];
    };
    apply();
    return onScheme(apply);
  }, [settings]);
}

/** What has a heading of its own; the parts of an endpoint share one. */
function placeOf(route: Route): string {
  return "id" in route ? `${route.page} ${route.id}` : route.page;
}

/** Who goes to another place by keyboard or by ear arrives at its heading. */
function useArrival(place: string): void {
  const before = useRef(place);
  useEffect(() => {
    if (before.current === place) return;
    before.current = place;
    document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [place]);
}

function Mark() {
  return (
    <svg width="22" height="22" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path
        d="M12 3.2a1.6 1.6 0 0 1 1.600 1.600v.5c2.700.700 4.500 3 4.500 5.900 0 3.400.700 4.800 1.800 6 .4.4.1 1.200-.5 1.200H4.600c-.6 0-.9-.8-.5-1.200 1.100-1.200 1.800-2.600 1.800-6 0-2.900 1.800-5.200 4.500-5.900v-.5A1.600 1.600 0 0 1 12 3.200Z"
        fill="currentColor"
      />
      <path d="M9.500 19.800h5a2.500 2.500 0 0 1-5 0Z" fill="currentColor" opacity="0.6" />
    </svg>
  );
}
