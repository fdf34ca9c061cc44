import { readdirSync } from "node:fs";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Every HTML file beside this one is a page of its own; a new page is a new file, nothing to register here. */
const pages = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith(".html"))
  .map((name) => `${import.meta.dirname}/${name}`);

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  // Pages are served under different paths and share chunks: their addresses are relative to each page's <base>.
  base: "./",
  // The svix client asks for `process` in a way that fails where there is none.
  define: { process: "globalThis.process" },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: { polyfill: false },
    // The Courier components are one piece of 500 kB; cutting it up gains nothing on one's own machine.
    chunkSizeWarningLimit: 1_000,
    rolldownOptions: { input: pages },
  },
  server: { proxy: { "/demo/": "http://127.0.0.1:4000", "/api/": "http://127.0.0.1:4000" } },
});
