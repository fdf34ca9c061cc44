/**
 * Texts of authors who mean harm, wherever a workflow takes Liquid: each is stopped within its limit and marked on its run,
 * or comes to nothing; other runs go on.
 */
import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { test } from "node:test";
import { forEachKnock, type KnockTarget } from "../knock-target.ts";
import { commit, feedOf, IN_APP, idle } from "../running/workflow.ts";

/** Three tries of half a second each, with room for a slow machine. */
const LONGEST_MS = 6_000;
/** What one try may keep everybody waiting, with room for a slow machine. */
const LONGEST_TURN_MS = 2_500;

const inApp = (markdown_body: string, ref = "in_app"): object => ({ ...IN_APP, ref, template: { markdown_body } });
const nested = (levels: number, open: string, middle: string, close: string): string =>
  open.repeat(levels) + middle + close.repeat(levels);

/** Each costs more than it may. */
const COSTLY: { readonly [what: string]: string } = {
  "a long loop": "{% for i in (1..1000000000) %}{% endfor %}",
  "loops in loops": nested(6, "{% for i in (1..999) %}", "x", "{% endfor %}"),
  "a loop that writes": "{% for i in (1..2000000) %}0123456789{{ i }}{% endfor %}",
  "a text that doubles": `{% assign x = "0123456789" %}${"{% assign x = x | append: x %}".repeat(40)}{{ x | size }}`,
  "a text that doubles when captured": `{% assign x = "0123456789" %}${"{% capture x %}{{ x }}{{ x }}{% endcapture %}".repeat(40)}{{ x }}`,
  "a replacement that grows": `{% assign x = "aaaaaaaaaa" %}${'{% assign x = x | replace: "a", x %}'.repeat(12)}{{ x | size }}`,
  "a list that doubles": `{% assign x = "a,b,c,d" | split: "," %}${"{% assign x = x | concat: x %}".repeat(40)}{{ x | size }}`,
  "megabytes of data, over and over": `${"{{ data | json }}".repeat(50)}`,
  "sorting what is sorted": `{% assign x = data.list %}${"{% assign x = x | concat: data.list | sort | uniq | reverse %}".repeat(400)}{{ x | size }}`,
  "a table": "{% tablerow i in (1..3000000) cols: 2 %}{{ i }}{% endtablerow %}",
  "everything as JSON in a loop": "{% for i in (1..100000) %}{{ data | json | size }}{% endfor %}",
  "hashes in a loop": "{% for i in (1..10000000) %}{{ data.text | sha256 }}{% endfor %}",
  "look-ups in a loop":
    '{% for i in (1..100000) %}{% assign id = "u" | append: i %}{% assign u = id | user %}{{ u.name }}{% endfor %}',
  "a partial that has itself": "{% render 'hostile-loop' %}",
};

/** Each looks where it has nothing to see; what it comes to has none of these words. */
const CURIOUS: readonly string[] = [
  "{{ data.constructor }}{{ data.constructor.constructor }}{{ data['constructor'] }}",
  "{{ data.__proto__ }}{{ data['__proto__'].toString }}{{ recipient.__proto__.constructor.name }}",
  '{{ "x".constructor }}{{ "x".length.constructor }}{{ data.list.constructor }}{{ data.list.map }}',
  '{{ data | map: "constructor" }}{{ data.list | map: "__proto__" | json }}{{ data.list | where: "constructor" | json }}',
  "{% assign __proto__ = data %}{{ polluted }}{% assign constructor = 1 %}{{ toString }}",
  "{% for x in data %}{{ x.constructor }}{% endfor %}{{ forloop.constructor }}{{ forloop.__proto__ }}",
  "{{ recipient.hasOwnProperty }}{{ workflow.valueOf }}{{ vars.toString }}{{ globalThis }}{{ process.env }}{{ require }}",
  '{{ data.text | json | from_json | map: "constructor" }}{{ "{\\"__proto__\\":{\\"polluted\\":1}}" | from_json }}{{ data.polluted }}',
  "{{ refs.toString }}{{ actors.constructor }}{{ activities[0].constructor }}{{ tenant.__proto__ }}",
];

/** Refused when they are pushed, or harmless when they are rendered. */
const STRANGE: readonly string[] = [
  `{{ "now" | date: "${"%c".repeat(100_000)}" }}`,
  "{% include '/etc/passwd' %}",
  "{% layout '../../package.json' %}",
  "{% render '../../../etc/passwd' %}",
  "{{ '' | unknown_filter }}",
  "{% raw %}{{ x }}",
  "{{ x | date: '%' }} {{ 'now' | date: data.text }} {{ -1 | times: 1e308 | times: 1e308 }} {{ 1 | divided_by: 0 }}",
  "{{ 5 | modulo: 0 }} {{ 'x' | slice: -5, 99999999 }} {{ 'x' | truncate: -5 }} {{ data | sort }} {{ data.list | sum: 'x' }}",
  nested(3_000, "{% if true %}", "x", "{% endif %}"),
  nested(300, "{{ ", "x", " }}"),
  `{{ data${".a".repeat(20_000)} }}`,
  `{{ x ${"| upcase ".repeat(20_000)} }}`,
  `{{ data.text | split: "" | join: data.text | size }}`,
  "{{ 'a\u0000b' }} \ud800 {{ data.nul }}",
  `{% if ${"true and ".repeat(5_000)}true %}x{% endif %}`,
];

const MARKUP =
  '<script>alert(1)</script><img src=x onerror=alert(1)><a href="javascript:alert(1)">x</a>[x](javascript:alert(1)) ' +
  "[y](JaVaScRiPt&#58;alert(1)) ![z](data:text/html;base64,PHNjcmlwdD4=) <svg/onload=alert(1)> <iframe src=//x> <style>*{}</style>";

const DATA = {
  text: "t".repeat(5_000),
  nul: "a\u0000b",
  list: Array.from({ length: 2_000 }, (_, i) => ({ n: i % 7, x: "y" })),
  markup: MARKUP,
};

interface Done {
  readonly status: string;
  readonly error_count: number;
  readonly events: readonly { readonly event: string; readonly status: string; readonly step_ref?: string | null }[];
}

async function runOf(target: KnockTarget, key: string, userId: string): Promise<Done> {
  const { workflow_run_id } = await target.knock.workflows.trigger(key, {
    recipients: [{ id: userId, name: MARKUP }],
    data: DATA,
  });
  await idle(target);
  const { items } = await target.knock.workflowRecipientRuns.list({ workflow: key });
  const mine = items.find((run) => run.workflow_run_id === workflow_run_id);
  return (await target.knock.workflowRecipientRuns.get(mine?.id as string)) as Done;
}

/** How long anybody had to wait for the process meanwhile, in milliseconds. */
async function longestTurn(work: () => Promise<void>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  try {
    await work();
  } finally {
    delay.disable();
  }
  return delay.max / 1e6;
}

forEachKnock((name, open) => {
  test(`${name}: what costs too much is stopped, and its run says so`, async () => {
    const target = await open();
    const partial = { name: "L", type: "html", content: "{% render 'hostile-loop' %}{% render 'hostile-loop' %}" };
    const pushed = await target.call("PUT", "/partials/hostile-loop?environment=development&commit=true", { partial });
    assert.ok([200, 422].includes(pushed.status), pushed.text);
    // The costs are the same whatever the database; on one it is enough to see that they end.
    const cases = Object.entries(COSTLY).filter((_, i) => name === "sqlite" || i % 4 === 0);
    for (const [what, text] of cases) {
      await commit(target, "costly", [inApp(text), inApp("after", "after")]);
      const startedAt = performance.now();
      let run: Done | undefined;
      const turn = await longestTurn(async () => {
        run = await runOf(target, "costly", "liquid-1");
      });
      const tookMs = performance.now() - startedAt;
      assert.ok(tookMs < LONGEST_MS, `${what}: ${Math.round(tookMs)} ms`);
      assert.ok(turn < LONGEST_TURN_MS, `${what}: kept all waiting for ${Math.round(turn)} ms`);
      assert.equal(run?.status, "completed", what);
      assert.ok((run?.error_count ?? 0) >= 1, `${what}: no error`);
      const failed = run?.events.filter(({ event }) => event === "step_failed") ?? [];
      assert.deepEqual([failed.length, failed[0]?.step_ref, failed[0]?.status], [3, "in_app", "error"], what);
    }
    assert.deepEqual((await feedOf(target, "liquid-1")).entries, []);
    await commit(target, "costly", [inApp("fine")]);
    await runOf(target, "costly", "liquid-1");
    assert.equal((await feedOf(target, "liquid-1")).entries.length, 1);
  });

  test(`${name}: what costs too much elsewhere than in a message is stopped, too`, async () => {
    const target = await open();
    const loop = COSTLY["loops in loops"] as string;
    const places: { readonly [what: string]: readonly object[] } = {
      batch_key: [
        { ref: "step", type: "batch", settings: { batch_key: loop, batch_window: { unit: "seconds", value: 1 } } },
      ],
      throttle_key: [
        {
          ref: "step",
          type: "throttle",
          settings: { throttle_key: loop, throttle_window: { unit: "seconds", value: 1 } },
        },
      ],
      cohort_key: [
        {
          ref: "step",
          type: "random_cohort",
          settings: { cohort_key: loop },
          cohort_key: loop,
          cohort_branches: [
            { name: "a", percentage: 50, steps: [] },
            { name: "b", percentage: 50, steps: [] },
          ],
        },
      ],
      fetch: [
        { ref: "step", type: "http_fetch", settings: { method: "get", url: `https://x.example/${loop}`, headers: [] } },
      ],
      child: [{ ref: "step", type: "trigger_workflow", settings: { workflow_key: "quiet", recipients: loop } }],
      update: [{ ref: "step", type: "update_data", settings: { data: `{"x":"${loop}"}` } }],
      user: [
        {
          ref: "step",
          type: "update_user",
          settings: { recipient_mode: "current", update_properties: `{"x":"${loop}"}` },
        },
      ],
      conditions: [
        {
          ...inApp("x", "step"),
          conditions: { all: [{ variable: "recipient.created_at", operator: "is_timestamp_before", argument: loop }] },
        },
      ],
    };
    await commit(target, "quiet", [inApp("quiet")]);
    let stopped = 0;
    for (const [what, steps] of Object.entries(places).filter((_, i) => name === "sqlite" || i % 4 === 0)) {
      const answer = await target.call("PUT", "/workflows/places?environment=development&commit=true", {
        workflow: { name: "places", steps },
      });
      // A place that takes no such text is as good as one that stops it.
      if (answer.status === 422) continue;
      stopped++;
      assert.equal(answer.status, 200, `${what}: ${answer.text}`);
      const startedAt = performance.now();
      const run = await runOf(target, "places", "liquid-2");
      assert.ok(performance.now() - startedAt < LONGEST_MS, what);
      assert.equal(run.status, "completed", what);
      assert.ok(run.error_count >= 1, `${what}: ${JSON.stringify(run.events)}`);
    }
    assert.ok(stopped >= 2);
  });

  test(`${name}: prototypes, files and the process are out of sight`, async () => {
    const target = await open();
    for (const text of CURIOUS) {
      const workflow = { name: "curious", steps: [inApp(`[${text}]`)] };
      const answer = await target.call("PUT", "/workflows/curious?environment=development&commit=true", { workflow });
      if (answer.status === 422) continue;
      assert.equal(answer.status, 200, `${text}: ${answer.text}`);
      const run = await runOf(target, "curious", "liquid-3");
      assert.equal(run.status, "completed", text);
      const [item] = (await feedOf(target, "liquid-3")).entries;
      const rendered: string = run.error_count > 0 ? "" : item.blocks[0].rendered;
      assert.doesNotMatch(rendered, /function|native code|Object|prototype|PATH=|node:/i, text);
    }
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    for (const text of STRANGE) {
      const workflow = { name: "strange", steps: [inApp(`[${text}]`)] };
      const answer = await target.call("PUT", "/workflows/strange?environment=development&commit=true", { workflow });
      assert.ok(answer.status === 200 || answer.status === 422, `${text.slice(0, 100)}: ${answer.text.slice(0, 300)}`);
      if (answer.status === 422) continue;
      const run = await runOf(target, "strange", "liquid-3");
      assert.equal(run.status, "completed", text.slice(0, 100));
      const error = run.events.find(({ status }) => status === "error");
      assert.ok(
        !JSON.stringify(error ?? {}).includes("internal error"),
        `${text.slice(0, 100)}: ${JSON.stringify(error)}`,
      );
      const [item] = (await feedOf(target, "liquid-3")).entries;
      assert.doesNotMatch(item?.blocks[0].rendered ?? "", /root:|"dependencies"/, text.slice(0, 100));
    }
  });

  test(`${name}: markup in data and names is no markup in a feed, and authors' scripts are taken out`, async () => {
    const target = await open();
    const bodies = [
      "{{ data.markup }} {{ recipient.name }}",
      MARKUP,
      "{{ data.markup | from_markdown }}",
      "[{{ data.markup }}]({{ data.markup }})",
      "`{{ data.markup }}` **{{ data.markup }}**",
    ];
    for (const body of bodies) {
      await commit(target, "markup", [
        { ...IN_APP, template: { markdown_body: body, action_url: "{{ data.markup }}" } },
      ]);
      await runOf(target, "markup", "liquid-4");
      const [item] = (await feedOf(target, "liquid-4")).entries;
      const { rendered } = item.blocks[0];
      // What is written out as text, or within quotes, may say what it likes.
      const tags: string = (rendered.match(/<[^>]*>/g) ?? []).join("\n");
      const names = tags.replace(/"[^"]*"/g, '""');
      assert.doesNotMatch(
        names,
        /<\/?(script|iframe|style|svg|object|embed|form)|\son\w+\s*=/i,
        `${body}: ${rendered}`,
      );
      assert.doesNotMatch(tags, /(href|src)="[\s\0]*(javascript|data|vbscript)/i, `${body}: ${rendered}`);
    }
  });

  test(`${name}: workflows that trigger themselves come to an end`, async () => {
    const target = await open();
    const trigger = (ref: string) => ({
      ref,
      type: "trigger_workflow",
      settings: { workflow_key: "ouroboros", recipients: '["self-1","self-2","self-3"]', data: "{{ data | json }}" },
    });
    await commit(target, "ouroboros", [inApp("round")]);
    await commit(target, "ouroboros", [trigger("a"), trigger("b"), inApp("round")]);
    for (const id of ["self-1", "self-2", "self-3"]) await target.knock.users.update(id, {});
    await target.knock.workflows.trigger("ouroboros", { recipients: ["self-1"], data: { n: 1 } });
    for (let i = 0; i < 5; i++) {
      await idle(target);
      target.clock.advance(60_000);
    }
    const { items } = await target.knock.workflowRecipientRuns.list({
      workflow: "ouroboros",
      status: ["queued", "paused", "processing"] as never,
    });
    assert.deepEqual(items, []);
    const { meta } = await feedOf(target, "self-1");
    assert.ok(meta.total_count >= 1 && meta.total_count < 5_000, `${meta.total_count} items`);
  });
});
