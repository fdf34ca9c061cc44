import { createRoot } from "react-dom/client";
import "../look.css";
import "./inbox.css";
import "./list.css";
import { ListPage } from "./list-page.tsx";

const user = new URLSearchParams(window.location.search).get("user") === "b" ? "b" : "a";

createRoot(document.getElementById("root") as HTMLElement).render(<ListPage user={user} />);
