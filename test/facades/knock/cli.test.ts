/** The vendor's CLI against this server: offline but for it, with a home of its own. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { type KnockTarget, startKnockTarget } from "./knock-target.ts";

const CLI = resolve(import.meta.dirname, "../../../node_modules/@knocklabs/cli/bin/run.js");

let target: KnockTarget;
let home: string;
before(async () => {
  target = await startKnockTarget();
  home = await mkdtemp(join(tmpdir(), "carillon-cli-"));
  await mkdir(join(home, "work"));
});
after(async () => {
  await target.close();
  await rm(home, { recursive: true, force: true });
});

/** Runs `knock …` in the working directory. */
async function knock(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  const all = [CLI, ...args, "--service-token", `knock_st_${target.secretKey}`, "--api-origin", target.url];
  // The CLI keeps backups under a fixed name there, which two commands at once would share.
  const env = {
    TMPDIR: await mkdtemp(join(home, "tmp-")),
    PATH: process.env.PATH ?? "",
    HOME: home,
    XDG_CONFIG_HOME: join(home, "config"),
    CI: "1",
    NO_COLOR: "1",
  };
  return await new Promise((done) => {
    execFile(process.execPath, all, { cwd: join(home, "work"), env }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : 1, out: stdout + stderr });
    });
  });
}

async function write(path: string, content: string | object): Promise<void> {
  const file = join(home, "work", path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content, null, 2));
}

async function read(path: string): Promise<string> {
  return await readFile(join(home, "work", path), "utf8");
}

const step = {
  type: "channel",
  ref: "in_app_feed_1",
  channel_key: "in-app",
  template: { "markdown_body@": "in_app_feed_1/text.md" },
};

async function shown(userId: string): Promise<string> {
  await target.knock.workflows.trigger("wf", { recipients: [{ id: userId }] });
  const { body } = await target.call("GET", `/users/${userId}/feeds/${target.feedId}`);
  return body.entries[0].blocks[0].rendered;
}

test("workflow push: what is committed is sent, and files stay linked", async () => {
  await write("wf/workflow.json", { name: "W", steps: [step] });
  await write("wf/in_app_feed_1/text.md", "the first text");
  const pushed = await knock("workflow", "push", "wf", "--commit", "-m", "first");
  assert.equal(pushed.code, 0, pushed.out);
  assert.match(pushed.out, /Successfully pushed and committed 1 workflow/);
  assert.match(await shown("c1"), /the first text/);
  const kept = JSON.parse(await read("wf/workflow.json"));
  assert.deepEqual(kept.steps[0].template, { "markdown_body@": "in_app_feed_1/text.md" });
  assert.equal(await read("wf/in_app_feed_1/text.md"), "the first text");
  assert.deepEqual(kept.__readonly, { key: "wf", active: true, valid: true });
  assert.equal(kept.created_at, undefined);

  await write("wf/in_app_feed_1/text.md", "the second text");
  const drafted = await knock("workflow", "push", "wf");
  assert.equal(drafted.code, 0, drafted.out);
  assert.match(await shown("c2"), /the first text/);
  const committed = await knock("commit", "-m", "second", "--force");
  assert.equal(committed.code, 0, committed.out);
  assert.match(await shown("c3"), /the second text/);
});

test("workflow push: faults are told with their places", async () => {
  await write("broken/workflow.json", {
    name: "B",
    steps: [{ ...step, channel_key: "nope", template: { markdown_body: "x" } }],
  });
  const { code, out } = await knock("workflow", "push", "broken");
  assert.equal(code, 1);
  assert.match(out, /steps\[0\]\.channel_key/);
});

test("pull, activate, run, list and get", async () => {
  const pulled = await knock("workflow", "pull", "wf", "--force");
  assert.equal(pulled.code, 0, pulled.out);
  assert.equal(await read("wf/in_app_feed_1/text.md"), "the second text");
  for (const args of [["--status", "false"], []]) {
    const { code, out } = await knock("workflow", "activate", "wf", "--environment", "development", ...args, "--force");
    assert.equal(code, 0, out);
  }
  await Promise.all(
    [
      ["workflow", "run", "wf", "--recipients", "c9", "--data", '{"a":1}'],
      ["workflow", "list", "--json"],
      ["workflow", "get", "wf", "--json"],
      ["environment", "list", "--json"],
      ["channel", "list", "--json"],
      ["commit", "list", "--json"],
      ["whoami", "--json"],
    ].map(async (args) => {
      const { code, out } = await knock(...args);
      assert.equal(code, 0, `${args.join(" ")}: ${out}`);
    }),
  );
});

test("layouts, partials and translations are pushed from files and pulled into them", async () => {
  await write("layouts/default/layout.json", {
    key: "default",
    name: "Default",
    "html_layout@": "html_layout.html",
    "text_layout@": "text_layout.txt",
  });
  await write("layouts/default/html_layout.html", "<html>{{ content }}</html>");
  await write("layouts/default/text_layout.txt", "{{ content }}");
  await write("partials/footer/partial.json", {
    key: "footer",
    name: "Footer",
    type: "html",
    "content@": "content.html",
  });
  await write("partials/footer/content.html", "<p>{{ x }}</p>");
  await write("translations/en/en.json", { hello: "Hello" });
  await write("translations/en/mail.en.json", { hello: "Mail" });
  for (const verb of [
    ["push", "--commit"],
    ["pull", "--force"],
  ] as const) {
    await Promise.all(
      (["layout", "partial", "translation"] as const).map(async (what) => {
        const { code, out } = await knock(what, verb[0], "--all", `--${what}s-dir`, `${what}s`, verb[1]);
        assert.equal(code, 0, `${what} ${verb[0]}: ${out}`);
      }),
    );
  }
  const layout = JSON.parse(await read("layouts/default/layout.json"));
  assert.equal(layout["html_layout@"], "html_layout.html");
  assert.equal(JSON.parse(await read("partials/footer/partial.json"))["content@"], "content.html");
  assert.deepEqual(JSON.parse(await read("translations/en/mail.en.json")), { hello: "Mail" });
});

// The tables for people need fields that the SDK's types do not have.
test("list and get show people what there is", async () => {
  await Promise.all(
    [
      ["workflow", "get", "wf"],
      ["layout", "get", "default"],
      ["partial", "get", "footer"],
      ["translation", "list"],
      ["translation", "get", "en"],
      ["translation", "get", "mail.en"],
    ].map(async (args) => {
      const { code, out } = await knock(...args);
      assert.equal(code, 0, `${args.join(" ")}: ${out}`);
    }),
  );
});

test("one translation is pulled by its name, in either format", async () => {
  const pulled = await knock("translation", "pull", "mail.en", "--force");
  assert.equal(pulled.code, 0, pulled.out);
  assert.deepEqual(JSON.parse(await read("en/mail.en.json")), { hello: "Mail" });

  const po = '# by hand\nmsgid ""\nmsgstr ""\n"Language: fr\\n"\n\nmsgctxt "menu"\nmsgid "open"\nmsgstr "ouvrir"\n';
  await write("fr/fr.po", po);
  const pushed = await knock("translation", "push", "fr", "--commit");
  assert.equal(pushed.code, 0, pushed.out);
  const again = await knock("translation", "pull", "fr", "--format", "po", "--force");
  assert.equal(again.code, 0, again.out);
  assert.equal(await read("fr/fr.po"), po);
  const { entries } = (await target.call("GET", "/translations?environment=development")).body;
  const french = entries.find(({ locale_code }: { locale_code: string }) => locale_code === "fr");
  assert.deepEqual([french.format, JSON.parse(french.content)], ["json", { open: "ouvrir" }]);
});

test("pull writes a whole project, which can be pushed again", async () => {
  const pulled = await knock("pull", "--knock-dir", "whole", "--force");
  assert.equal(pulled.code, 0, pulled.out);
  assert.equal(JSON.parse(await read("whole/workflows/wf/workflow.json")).name, "W");
  assert.equal(await read("whole/partials/footer/content.html"), "<p>{{ x }}</p>");
  assert.deepEqual(JSON.parse(await read("whole/translations/en/mail.en.json")), { hello: "Mail" });
  const before = (await target.call("GET", "/commits")).body.entries.length;
  const pushed = await knock("push", "--knock-dir", "whole", "--commit", "--environment", "development");
  assert.equal(pushed.code, 0, pushed.out);
  const { entries } = (await target.call("GET", "/commits")).body;
  // Only what came as a PO file is JSON now.
  const committed = entries.slice(0, entries.length - before);
  assert.deepEqual(
    committed.map(({ resource }: { resource: object }) => resource),
    [{ type: "translation", identifier: "fr" }],
  );
});

test("push takes a whole project in, in the vendor's order", async () => {
  const at = (path: string) => `project/${path}`;
  await write(at("partials/sign/partial.json"), { name: "Sign", type: "text", "content@": "content.txt" });
  await write(at("partials/sign/content.txt"), "yours, {{ by }}");
  await write(at("translations/en/en.json"), { greeting: "Good day" });
  await write(at("workflows/letter/workflow.json"), { name: "Letter", steps: [step] });
  await write(at("workflows/letter/in_app_feed_1/text.md"), "{{ 'greeting' | t }}, {% render 'sign', by: 'us' %}");
  const { code, out } = await knock("push", "--knock-dir", "project", "--commit", "--environment", "development");
  assert.equal(code, 0, out);
  await target.knock.workflows.trigger("letter", { recipients: [{ id: "p1" }] });
  const { body } = await target.call("GET", `/users/p1/feeds/${target.feedId}`);
  assert.match(body.entries[0].blocks[0].rendered, /Good day, yours, us/);
});

test("message-type push and guide push: what is committed is shown, until it is switched off", async () => {
  const variants = [{ key: "default", name: "Default", fields: [{ type: "text", key: "title", label: "Title" }] }];
  await write("note/message_type.json", { name: "Note", description: null, "preview@": "preview.html", variants });
  await write("note/preview.html", "<p>{{ title }}</p>");
  const typed = await knock("message-type", "push", "note", "--commit");
  assert.equal(typed.code, 0, typed.out);
  assert.equal(await read("note/preview.html"), "<p>{{ title }}</p>");
  const steps = [
    { ref: "s", schema_key: "note", schema_semver: "0.0.1", schema_variant_key: "default", values: { title: "T" } },
  ];
  await write("tour/guide.json", { name: "Tour", channel_key: "guide", steps });
  const pushed = await knock("guide", "push", "tour", "--commit");
  assert.equal(pushed.code, 0, pushed.out);
  assert.deepEqual(JSON.parse(await read("tour/guide.json")).__readonly?.key, "tour");
  const channel = (await target.call("GET", "/channels/guide")).body.id;
  const keys = async (): Promise<string[]> =>
    (await target.call("GET", `/users/c1/guides/${channel}`)).body.entries.map(({ key }: { key: string }) => key);
  assert.deepEqual(await keys(), ["tour"]);
  const off = await knock("guide", "activate", "tour", "--environment", "development", "--status", "false", "--force");
  assert.equal(off.code, 0, off.out);
  assert.deepEqual(await keys(), []);
});
