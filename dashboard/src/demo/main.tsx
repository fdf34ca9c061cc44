import { createRoot } from "react-dom/client";
import "../look.css";
import "./demo.css";
import { DemoPage } from "./demo-page.tsx";

createRoot(document.getElementById("root") as HTMLElement).render(<DemoPage />);
