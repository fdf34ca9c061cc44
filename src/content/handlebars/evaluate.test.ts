import assert from "node:assert/strict";
import { test } from "node:test";
import { type RenderContext, RenderError } from "../../engine/ports.ts";
import { Rendering } from "./evaluate.ts";
import { parsePath, parseTemplate } from "./parse.ts";

const context: RenderContext = {
  data: {
    name: "Ann",
    zero: 0,
    no: false,
    nil: null,
    empty: [],
    a: { b: [{ c: 1 }, { c: 2 }] },
    items: ["x", "y"],
    people: [{ name: "Bo", tags: ["t"] }, { tags: [] }],
    map: { k: 1, j: 2 },
    data: "inner",
    event: "from data",
    "odd-key": "odd",
  },
  profile: { name: "Profile", email: "a@x.io" },
  tenant: { name: "Acme" },
  brand: {
    snippets: {
      items: [
        { name: "sig", value: "-- {{name}} {{who}}" },
        { name: "loop", value: "{{> loop}}" },
      ],
    },
  },
  builtIns: { event: "welcome", messageId: "1-2", urls: { opened: "https://o" }, datetime: { year: 2026 } },
  locale: null,
  translate: (key) => (key === "Hi %s" ? "Salut %s" : undefined),
  fallbackTitle: "",
  utm: null,
  trackLink: null,
  openPixel: null,
};

const print = (text: string): string => new Rendering(context).print(parseTemplate(text));

const PRINTED: readonly (readonly [template: string, text: string])[] = [
  // Variables
  ["Hi {name}", "Hi Ann"],
  ["{ name }{{ name }}", "AnnAnn"],
  ["{data.name} {profile.name} {tenant.name} {$.profile.name} {{$.data.name}}", "Ann Profile Acme Profile Ann"],
  ["{a.b[1].c}{a.b.0.c}{{a.b.[1].c}}{{a/b/0/c}}", "2121"],
  ["{zero}{no}{a.b}", '0false[{"c":1},{"c":2}]'],
  ["{nil}{{nil}}{missing.deep}{{missing.deep}}{ zz }", "{nil}{missing.deep}{ zz }"],
  ["{event} {messageId} {{urls.opened}} {datetime.year}", "from data 1-2 https://o 2026"],
  ["\\{name} \\{{name}} \\\\{name} a\\b", "{name} {{name}} \\Ann a\\b"],
  ["{color:red} {a-b} { } {} {1} {", "{color:red} {a-b} { } {} {1} {"],
  ['{"json": {{zero}}}', '{"json": 0}'],
  ["{{odd-key}}{{[odd-key]}}", "oddodd"],
  ["{items.length}{name.length}{{items.map}}{{name.at}}", "23"],
  ["{{{name}}}{{&name}}{{'lit'}}{{5}}{{true}}{{null}}", "AnnAnnlit5true"],
  // Blocks
  ["{{#if name}}y{{else}}n{{/if}}{{#if zero}}y{{else}}n{{/if}}{{#if empty}}y{{else}}n{{/if}}", "ynn"],
  ["{{#if no}}a{{else if nil}}b{{else if name}}c{{else}}d{{/if}}", "c"],
  ["{{#unless no}}u{{/unless}}{{^no}}inv{{/no}}{{#if no}}{{^}}else{{/if}}", "uinvelse"],
  ["{{#each items}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", "0x,1y"],
  ["{{#each map}}{{@key}}={{.}};{{/each}}{{#each nil}}x{{else}}none{{/each}}", "k=1;j=2;none"],
  ["{{#each items as |it i|}}{{i}}{{it}}{{/each}}", "0x1y"],
  [
    "{{#each people}}{{name}}/{{../name}}/{{@root.name}}/{{#each tags}}{{../name}}{{../../name}}{{/each}};{{/each}}",
    "Bo/Ann/Ann/BoAnn;/Ann/Ann/;",
  ],
  ["{{#with a}}{{#each b}}{{c}}{{/each}}{{/with}}{{#with nil}}x{{else}}-{{/with}}", "12-"],
  ["{{#name}}{{this}}{{/name}}{{#items}}{{.}}{{/items}}{{#map}}{{k}}{{/map}}", "Annxy1"],
  ["l\n{{#each items}}\n- {{this}}\n{{/each}}\nend", "l\n- x\n- y\nend"],
  ["{{#if name}}\n  a\n{{else}}\n  b\n{{/if}}\nz", "  a\nz"],
  ["a {{~name~}} b{{! no }}{{!-- }} --}}c", "aAnnbc"],
  // Functions
  [
    "{{concat name '-' zero}} {{capitalize 'élan'}} {{truncate 'abcdef' 3}} {{truncate 'abc' 3}} {{truncate 'abcd' 2 '..'}}",
    "Ann-0 Élan abc… abc ab..",
  ],
  ["{{default missing 'd'}}{{default name 'd'}}{{default nil (concat 'a' 'b')}}", "dAnnab"],
  [
    "{{add 1 '2'}} {{add 0.1 0.2}} {{subtract 5 3}} {{sub 1 2}} {{multiply 3 4}} {{divide 1 4}} {{divide 1 0}}|{{add name 1}}|",
    "3 0.3 2 -1 12 0.25 ||",
  ],
  [
    "{{mod 7 4}} {{abs -3}} {{ceil 1.2}} {{floor 1.8}} {{round 2.345 2}} {{round 2.5}} {{inc zero}}",
    "3 3 2 1 2.35 3 1",
  ],
  [
    "{{#if (condition zero '==' '0')}}a{{/if}}{{#if (condition zero '===' '0')}}b{{/if}}{{#condition 10 '>' '9'}}c{{else}}d{{/condition}}",
    "ac",
  ],
  ["{{#if (and name (not no) (or no 1))}}y{{/if}}{{conditional (condition 'a' '<' 'b') 'p' 'q'}}", "yp"],
  ["{{trim '  a '}}|{{trim-left 'xxa' 'x'}}|{{trim-right 'a  '}}|{{trim-one-char-right 'ab😀'}}", "a|a|a|ab"],
  ["{{set 'q' 5}}{{q}}{{set r=name}}{{r}}{{var 'a.b[0].c'}}{{path '$.profile.email'}}", "5Ann1a@x.io"],
  ["{{#with (json-parse '{\"z\":[1]}')}}{{z}}{{/with}}{{json-parse '{'}}", "[1]"],
  ["{{format '%s is %d%% %2$s %s' name 7.9}}", "Ann is 7% 7.9 %s"],
  ["{{t 'Hi %s' name}} {{translate 'unknown'}} {{t 'un %s'}}", "Salut Ann unknown un %s"],
  ["{{> sig who='me'}}|{{> absent}}|", "-- Ann me||"],
];

test("templates say what their notation promises", () => {
  for (const [template, text] of PRINTED) assert.equal(print(template), text, template);
});

test("a template that cannot be read, or never ends, is a RenderError when it is printed", () => {
  const faults = [
    "{{name",
    "{{name}",
    "{{#if a}}",
    "{{/if}}",
    "{{#each}}x{{/each}}",
    "{{foo a}}",
    "{{'open}}",
    "{{else}}",
    "{{> }}",
    "{{(a}}",
    "{{a)}}",
    "{{! open",
    "{{{a}}",
    "{{#if a}}{{else}}{{else}}{{/if}}",
    "{{> loop}}",
    "{{~",
    "{{a =",
  ];
  for (const template of faults) assert.throws(() => print(template), RenderError, template);
});

test("a path is read in all its spellings", () => {
  assert.deepEqual(parsePath(" $.a[0].b "), { up: 0, root: true, head: "a", rest: ["0", "b"] });
  assert.deepEqual(parsePath("../x"), { up: 1, root: false, head: "x", rest: [] });
  assert.equal(parsePath("a b"), null);
  assert.equal(parsePath(""), null);
});
