import assert from "node:assert/strict";
import { test } from "node:test";
import { safeHref, safeImage, withUtm } from "./links.ts";

test("campaign keys are added to web addresses, and nothing else of them is touched", () => {
  const utm = { source: "s", medium: "e m" };
  assert.equal(withUtm("https://x.io", utm), "https://x.io?utm_source=s&utm_medium=e%20m");
  assert.equal(
    withUtm("https://x.io/?a=%20b&utm_source=mine#f?x", utm),
    "https://x.io/?a=%20b&utm_source=mine&utm_medium=e%20m#f?x",
  );
  assert.equal(withUtm("https://x.io/?", utm), "https://x.io/?utm_source=s&utm_medium=e%20m");
  assert.equal(withUtm("mailto:a@x.io", utm), "mailto:a@x.io");
  assert.equal(withUtm("https://x.io", {}), "https://x.io");
  assert.equal(withUtm("https://x.io", { utm_term: "t", content: "" }), "https://x.io?utm_term=t");
});

test("an address that could run something never becomes a link, however it is spelled", () => {
  for (const bad of [
    "javascript:1",
    "JAVASCRIPT:1",
    "\u0001javascript:1",
    "java\tscript:1",
    "java\nscript:1",
    " data:text/html,x",
    "vb\u200bscript:1",
    "blob:x",
  ]) {
    assert.equal(safeHref(bad, "web"), null, bad);
    assert.equal(safeHref(bad, "app"), null, bad);
  }
  for (const good of ["https://x.io", "HTTP://x.io", "mailto:a@x.io", "tel:+1", "/path", "#a", "x.io/a:b"]) {
    assert.equal(safeHref(good, "web"), good);
  }
  assert.equal(safeHref("myapp://x", "web"), null);
  assert.equal(safeHref("myapp://x", "app"), "myapp://x");
  assert.equal(safeHref("  ", "app"), null);
});

test("a picture comes from the web, from the mail, or from the address itself", () => {
  for (const good of ["https://x.io/a.png", "//x.io/a.png", "cid:logo", "data:image/png;base64,AA=="])
    assert.equal(safeImage(good), good);
  for (const bad of ["javascript:1", "data:image/svg+xml;base64,AA", "data:text/html,x", "a.png", ""])
    assert.equal(safeImage(bad), null);
});
