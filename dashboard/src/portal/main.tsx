import { createRoot } from "react-dom/client";
import "../look.css";
import "./theme.css";
import "./layout.css";
import "./parts.css";
import { reportHeight } from "./frame.ts";
import { Gate } from "./gate.tsx";
import { applyScheme } from "./scheme.ts";

applyScheme();
const root = document.getElementById("root") as HTMLElement;
reportHeight(root);
createRoot(root).render(<Gate />);
