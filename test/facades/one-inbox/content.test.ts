/** What was sent through one facade, in the shape of the others: docs/one-inbox.md, "What becomes of the content". */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachWorld, ONE_STEP, TWO_STEPS, type World } from "./world.ts";

// biome-ignore lint/suspicious/noExplicitAny: looked at field by field
type Any = any;

let users = 0;
const newUser = (): string => `reader-${++users}`;

/** The newest item of a user as each facade's clients get it. */
async function shown(world: World, user: string): Promise<{ courier: Any; knock: Any; pushwoosh: Any }> {
  const [courier, knock, pushwoosh] = await Promise.all([
    world.courierViews(user),
    world.knockFeed(user, "mode=rich"),
    world.pushwooshInbox(user),
  ]);
  return { courier: courier.main.items[0]?.all, knock: knock.items[0]?.all, pushwoosh: pushwoosh.items[0]?.all };
}

const fields = (of: Any, ...names: string[]): Any => Object.fromEntries(names.map((name) => [name, of[name]]));
const block = (item: Any, name: string): Any => item.blocks.find((one: Any) => one.name === name);

forEachWorld((name, open) => {
  test(`${name}: Courier's title, body, actions, image, data and tags reach the others`, async () => {
    const world = await open();
    const user = newUser();
    await world.courierSend(
      { key: "k1", users: [user] },
      {
        data: { key: "k1", invoice: 42, nested: { deep: [1] } },
        content: {
          version: "2022-01-01",
          elements: [
            { type: "meta", title: "k1: Invoice <42>" },
            { type: "text", content: "It is **due** soon" },
            { type: "image", src: "https://img.example/i.png" },
            { type: "action", content: "Pay", href: "https://pay.example/42" },
            { type: "action", content: "Ask", href: "https://ask.example/" },
          ],
        },
      },
      { tags: ["billing", "urgent"] },
    );
    const { courier, knock, pushwoosh } = await shown(world, user);
    assert.deepEqual(fields(courier, "title", "tags", "data", "actions"), {
      title: "k1: Invoice <42>",
      tags: ["billing", "urgent"],
      data: { key: "k1", invoice: 42, nested: { deep: [1] } },
      actions: [
        { content: "Pay", href: "https://pay.example/42" },
        { content: "Ask", href: "https://ask.example/" },
      ],
    });
    assert.match(courier.preview, /It is .*due.* soon/);
    assert.equal(courier.icon, "https://img.example/i.png");
    const body = block(knock, "body").rendered;
    assert.ok(body.startsWith("<p><strong>k1: Invoice &lt;42&gt;</strong></p><p>It is "), body);
    assert.ok(body.endsWith('<p><img src="https://img.example/i.png" alt=""></p>'), body);
    assert.equal(block(knock, "action_url").rendered, "https://pay.example/42");
    assert.deepEqual(block(knock, "actions").buttons, [
      { name: "primary", label: "Pay", action: "https://pay.example/42" },
      { name: "secondary", label: "Ask", action: "https://ask.example/" },
    ]);
    assert.deepEqual([knock.data, knock.source.categories], [courier.data, ["billing", "urgent"]]);
    // Markup is taken out of texts, since widgets put them into pages as they are.
    assert.deepEqual([pushwoosh.title, pushwoosh.text], ["k1: Invoice <42>", courier.preview]);
    assert.equal(pushwoosh.image, "https://img.example/i.png");
    const { l, u } = JSON.parse(pushwoosh.action_params);
    assert.deepEqual([pushwoosh.action_type, l, JSON.parse(u)], [1, "https://pay.example/42", courier.data]);
  });

  test(`${name}: a workflow's markdown, link, buttons, data and categories reach the others`, async () => {
    const world = await open();
    const user = newUser();
    const template = {
      markdown_body: "## {{ data.key }} is ready\n\nHello **{{ recipient.name }}**,\n\n- one\n- two",
      action_url: "{{ data.url }}",
      action_buttons: [{ label: "Download", action: "https://get.example/{{ data.key }}" }],
    };
    await world.ok("PUT", "/v1/workflows/rich?environment=development&commit=true", {
      workflow: {
        name: "rich",
        categories: ["reports"],
        steps: [{ ref: "one", type: "channel", channel_key: "in-app", template }],
      },
    });
    await world.ok("POST", "/v1/workflows/rich/trigger", {
      recipients: [{ id: user, name: "Ann & Bob" }],
      actor: { id: `${user}-actor`, name: "Carol" },
      data: { key: "k2", url: "https://app.example/r/2", n: 1 },
    });
    const { courier, knock, pushwoosh } = await shown(world, user);
    assert.equal(knock.source.key, "rich");
    assert.deepEqual([knock.total_actors, knock.actors[0].name], [1, "Carol"]);
    assert.deepEqual(fields(courier, "title", "body", "tags", "data", "actions", "icon"), {
      title: "k2 is ready",
      body: courier.preview,
      tags: ["reports"],
      data: { key: "k2", url: "https://app.example/r/2", n: 1 },
      actions: [
        { content: "Download", href: "https://get.example/k2" },
        { content: "Open", href: "https://app.example/r/2" },
      ],
      icon: null,
    });
    assert.match(courier.preview, /^Hello Ann & Bob,\n.*one\n.*two$/s);
    assert.deepEqual([pushwoosh.title, pushwoosh.text], [courier.title, courier.preview]);
    const { l, u } = JSON.parse(pushwoosh.action_params);
    assert.deepEqual([l, JSON.parse(u)], ["https://app.example/r/2", courier.data]);
  });

  test(`${name}: without a heading, the first line of a workflow's message is Courier's title`, async () => {
    const world = await open();
    const user = newUser();
    await world.knockTrigger({ key: "k3", users: [user] }, ONE_STEP);
    const { courier, pushwoosh } = await shown(world, user);
    assert.deepEqual([courier.title, courier.preview], ["k3 from a workflow", `for ${user}`]);
    assert.deepEqual([pushwoosh.title, pushwoosh.text], ["", `k3 from a workflow\n\nfor ${user}`]);
    // Detail views say the same.
    const query = `query { message(messageId: "${courier.messageId}") { content { title preview elemental { __typename } } } }`;
    const { content } = (await world.graphql(user, query)).message;
    assert.deepEqual([content.title, content.preview], [courier.title, courier.preview]);
  });

  test(`${name}: Pushwoosh's title, text, link, image and data reach the others`, async () => {
    const world = await open();
    const user = newUser();
    await world.pushwooshSend(
      { key: "k4", users: [user] },
      {
        title: "k4 <b>arrived</b>",
        content: "line one\nline <i>two</i>",
        link: "https://shop.example/4",
        inbox_image: "https://img.example/4.png",
        data: { key: "k4", list: [1, 2] },
      },
    );
    const { courier, knock, pushwoosh } = await shown(world, user);
    assert.deepEqual([pushwoosh.title, pushwoosh.text], ["k4 arrived", "line one\nline two"]);
    assert.deepEqual(fields(courier, "title", "preview", "icon", "data", "actions", "tags"), {
      title: "k4 <b>arrived</b>",
      preview: "line one\nline <i>two</i>",
      icon: "https://img.example/4.png",
      data: { key: "k4", list: [1, 2] },
      actions: [{ content: "Open", href: "https://shop.example/4" }],
      tags: [],
    });
    assert.equal(
      block(knock, "body").rendered,
      "<p><strong>k4 &lt;b&gt;arrived&lt;/b&gt;</strong></p><p>line one<br>line &lt;i&gt;two&lt;/i&gt;</p>" +
        '<p><img src="https://img.example/4.png" alt=""></p>',
    );
    assert.equal(block(knock, "action_url").rendered, "https://shop.example/4");
    assert.equal(block(knock, "actions"), undefined);
    assert.equal(knock.source.key, "pushwoosh");
    assert.deepEqual(knock.data, { key: "k4", list: [1, 2] });
  });

  test(`${name}: a message of Pushwoosh's without a title has its first line for one in Courier`, async () => {
    const world = await open();
    const user = newUser();
    await world.pushwooshSend({ key: "k5", users: [user] }, { title: "", content: "k5 is here\nread on" });
    const { courier } = await shown(world, user);
    assert.deepEqual([courier.title, courier.preview], ["k5 is here", "read on"]);
  });

  // Courier's clients showed no icon and Pushwoosh's no picture, and where it had stood the text began with empty lines.
  test(`${name}: a picture in a workflow's markdown is the picture of the others`, async () => {
    const world = await open();
    const user = newUser();
    const template = {
      markdown_body: "# k9 in pictures\n\n![{{ data.key }}](https://img.example/{{ data.key }}.png?a=1&b=2)\n\nbelow",
    };
    await world.workflow("picture", [{ ref: "one", type: "channel", channel_key: "in-app", template }]);
    await world.knockTrigger({ key: "k9", users: [user] }, "picture");
    const { courier, pushwoosh } = await shown(world, user);
    const picture = "https://img.example/k9.png?a=1&b=2";
    assert.deepEqual([courier.icon, courier.title, courier.preview], [picture, "k9 in pictures", "below"]);
    assert.deepEqual([pushwoosh.image, pushwoosh.title, pushwoosh.text], [picture, "k9 in pictures", "below"]);
  });

  test(`${name}: where a message leads is the same in every shape: into an app, or to a page of Pushwoosh's`, async () => {
    const world = await open();
    const leadsTo = async (user: string) => {
      const { courier, knock, pushwoosh } = await shown(world, user);
      const params = JSON.parse(pushwoosh.action_params);
      return [courier.actions.at(-1)?.href, block(knock, "action_url")?.rendered, params.l ?? params.r];
    };
    const [app, page] = ["myapp://orders/7", "https://pages.example/7"];
    const users = [newUser(), newUser(), newUser()] as const;
    await world.pushwooshSend({ key: "k10", users: [users[0]] }, { link: app });
    assert.deepEqual(await leadsTo(users[0]), [app, app, app]);
    await world.pushwooshSend({ key: "k11", users: [users[1]] }, { remote_page: page });
    assert.deepEqual(await leadsTo(users[1]), [page, page, page]);
    const { pushwoosh } = await shown(world, users[1]);
    assert.deepEqual([pushwoosh.action_type, Object.keys(JSON.parse(pushwoosh.action_params))], [2, ["r", "u"]]);
    await world.courierSend(
      { key: "k12", users: [users[2]] },
      {
        content: {
          version: "2022-01-01",
          elements: [
            { type: "text", content: "k12" },
            { type: "action", content: "Order", href: app },
          ],
        },
      },
    );
    const third = await shown(world, users[2]);
    assert.deepEqual(block(third.knock, "actions").buttons, [{ name: "primary", label: "Order", action: app }]);
    assert.equal(JSON.parse(third.pushwoosh.action_params).l, app);
  });

  test(`${name}: hostile texts and links do no harm in any shape`, async () => {
    const world = await open();
    const user = newUser();
    const script = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    await world.courierSend(
      { key: "k6", users: [user] },
      {
        content: {
          version: "2022-01-01",
          elements: [
            { type: "meta", title: `k6 ${script}` },
            { type: "text", content: script },
            { type: "action", content: "Run", href: "javascript:alert(1)" },
          ],
        },
      },
    );
    const { knock, pushwoosh } = await shown(world, user);
    assert.ok(!/<(script|img)/.test(block(knock, "body").rendered), block(knock, "body").rendered);
    assert.equal(block(knock, "action_url"), undefined);
    assert.equal(block(knock, "actions"), undefined);
    assert.ok(!`${pushwoosh.title}${pushwoosh.text}`.includes("<"), pushwoosh.text);

    await world.pushwooshSend(
      { key: "k7", users: [user] },
      { content: "k7", link: "https://ok.example/", inbox_image: 'x" onerror="y' },
    );
    const second = await shown(world, user);
    assert.ok(!block(second.knock, "body").rendered.includes("<img"));
    assert.equal(second.pushwoosh.image, "");
  });

  test(`${name}: two items of one run have ids of their own in every facade`, async () => {
    const world = await open();
    const user = newUser();
    await world.knockTrigger({ key: "k8", users: [user] }, TWO_STEPS);
    const { items } = (await world.courierViews(user)).main;
    assert.deepEqual(
      items.map(({ key }) => key),
      ["k8b", "k8a"],
    );
    const [second, first] = items;
    assert.notEqual(first?.messageId, second?.messageId);
    // Each is marked by its own id, and the message itself leads to both.
    for (const [item, mark] of [
      [first, "read"],
      [second, "opened"],
    ] as const) {
      assert.equal(await world.courierMark(user, mark, item?.messageId ?? ""), true);
      const found = await world.graphql(user, `query { message(messageId: "${item?.messageId}") { title } }`);
      assert.equal(found.message.title, item?.key);
    }
    const after = (await world.courierViews(user)).main.items;
    assert.deepEqual(
      after.map(({ read, opened }) => [read !== null, opened !== null]),
      [
        [false, true],
        [true, false],
      ],
    );
    // By its tracking id, too; and nobody else's.
    const { main } = await world.courierViews(
      user,
      ["main"],
      "messageId title preview read opened trackingIds { archiveTrackingId }",
    );
    const trackingId = main.items[1]?.all.trackingIds.archiveTrackingId;
    const tracked = await world.graphql(user, `mutation { trackEvent(trackingId: "${trackingId}") { id } }`);
    assert.equal(tracked.trackEvent.id, first?.messageId);
    const stranger = newUser();
    assert.equal(await world.courierMark(stranger, "read", first?.messageId ?? ""), false);
    assert.deepEqual(
      (await world.courierViews(user, ["archive"])).archive.items.map(({ key }) => key),
      ["k8a"],
    );
    const seen = await world.graphql(user, `mutation { batchTrackEvent(eventType: "read") { ids } }`);
    assert.deepEqual(seen.batchTrackEvent.ids, [second?.messageId]);
  });
});
