/**
 * The blocks a feed's item is shown from. Those of a workflow are made with its content (`raw.feed`); of what came another
 * way they are made here from title, text and links, and hold nothing but text: clients put `rendered` into the page as it
 * stands.
 */
import type { Delivery, Rendered } from "../../engine/model.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";

export function feedBlocks({ content, origin }: Pick<Delivery, "content" | "origin">): readonly JsonObject[] {
  // Only a workflow's content is ours; others' raw content is their author's.
  const made = origin === undefined ? undefined : content.raw?.feed;
  return Array.isArray(made) ? made.filter(isObject) : plainBlocks(content);
}

function plainBlocks({ title, body, imageUrl, clickUrl, actions }: Rendered): readonly JsonObject[] {
  const blocks: JsonObject[] = [];
  const paragraphs = body.split(/\n{2,}/).filter((one) => one.trim() !== "");
  const image = imageUrl === null ? null : safeImage(imageUrl);
  blocks.push({
    name: "body",
    type: "markdown",
    content: [
      ...(title === "" ? [] : [`**${markdown(title)}**`]),
      ...paragraphs.map(markdown),
      ...(image === null ? [] : [`![](<${image}>)`]),
    ].join("\n\n"),
    rendered: [
      ...(title === "" ? [] : [`<p><strong>${html(title)}</strong></p>`]),
      ...paragraphs.map((one) => `<p>${html(one).replaceAll("\n", "<br>")}</p>`),
      ...(image === null ? [] : [`<p><img src="${html(image)}" alt=""></p>`]),
    ].join(""),
  });
  const target = clickUrl === null ? null : safeTarget(clickUrl);
  if (target !== null) blocks.push({ name: "action_url", type: "text", content: target, rendered: target });
  const buttons = actions.flatMap(({ content: label, href }) => {
    const action = safeTarget(href);
    return action === null ? [] : [{ label, action }];
  });
  if (buttons.length > 0) {
    const named = buttons.map((button, i) => ({ name: BUTTON_NAMES[i] ?? `button_${i + 1}`, ...button }));
    blocks.push({ name: "actions", type: "button_set", buttons: named });
  }
  return blocks;
}

/** Clients style the first one as the one to press. */
const BUTTON_NAMES = ["primary", "secondary"];

const RUNS: ReadonlySet<string> = new Set([
  "javascript",
  "vbscript",
  "data",
  "file",
  "blob",
  "view-source",
  "filesystem",
]);

/**
 * A client goes where it is told to, so it is told nothing that would run in its page. Apps' own schemes are let pass, as
 * they are in workflows.
 */
function safeTarget(href: string): string | null {
  const target = href.trim();
  if (target === "") return null;
  // Browsers leave out control characters, so that `java\nscript:` is one word to them.
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(target.replace(/[\p{Cc}\p{Cf} ]/gu, ""))?.[1]?.toLowerCase();
  return scheme === undefined || !RUNS.has(scheme) ? target : null;
}

/** An address of the web, written so that nothing in it ends the place it is put into. */
function safeImage(address: string): string | null {
  const url = URL.parse(address);
  return url !== null && (url.protocol === "https:" || url.protocol === "http:")
    ? url.href.replace(/[<>]/g, encodeURIComponent)
    : null;
}

function html(text: string): string {
  return text.replace(/[&<>"']/g, (found) => ENTITIES[found] as string);
}

const ENTITIES: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** So that markdown shows the text as it is. */
function markdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-!<>|~]/g, "\\$&");
}
