import { createRoot } from "react-dom/client";
import "@knocklabs/react/dist/index.css";
import "../look.css";
import "./inbox.css";
import "./feed.css";
import { FeedPage } from "./feed-page.tsx";

const user = new URLSearchParams(window.location.search).get("user") === "b" ? "b" : "a";

createRoot(document.getElementById("root") as HTMLElement).render(<FeedPage user={user} />);
