/**
 * What an SDK's own declarations promise of its answers. The SDK itself never looks: a field that the server leaves out
 * is `undefined` where its user was told that there is text, and a date that is none becomes an invalid one.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

const MODULES = new URL("../../../../node_modules/", import.meta.url);

interface Field {
  readonly name: string;
  readonly optional: boolean;
  readonly type: string;
}

export interface Declarations {
  /** Fails when the value is not what the method of the class is declared to resolve with. */
  check(className: string, method: string, value: unknown): void;
}

const read = new Map<1 | 2, Declarations>();

export function declarationsOf(major: 1 | 2): Declarations {
  const known = read.get(major) ?? declarationsIn(major === 1 ? textOfFirst() : textOf("svix2/dist/index.d.mts"));
  read.set(major, known);
  return known;
}

function textOf(path: string): string {
  return readFileSync(new URL(path, MODULES), "utf8");
}

function textOfFirst(): string {
  const folders = ["svix/dist/", "svix/dist/api/", "svix/dist/models/"];
  const files = folders.flatMap((folder) => readdirSync(new URL(folder, MODULES)).map((name) => folder + name));
  return files
    .filter((name) => name.endsWith(".d.ts"))
    .map(textOf)
    .join("\n");
}

function declarationsIn(text: string): Declarations {
  const plain = text.replace(/\/\*[\s\S]*?\*\//g, "");
  const interfaces = new Map<string, Field[]>();
  for (const [, name = "", body = ""] of plain.matchAll(/^(?:export )?interface (\w+) \{(?:\}|\n([\s\S]*?)^\})/gm)) {
    interfaces.set(name, fieldsIn(body));
  }
  const enums = new Map<string, unknown[]>();
  for (const [, name = "", body = ""] of plain.matchAll(/^(?:export )?declare enum (\w+) \{\n([\s\S]*?)^\}/gm)) {
    enums.set(
      name,
      [...body.matchAll(/= (.+?),?$/gm)].map(([, value = ""]) => JSON.parse(value)),
    );
  }
  const returns = new Map<string, string>();
  for (const [, name = "", body = ""] of plain.matchAll(/^(?:export )?declare class (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)) {
    for (const [, method = "", type = ""] of body.matchAll(/^\s+(\w+)\(.*\): Promise<(.+)>;$/gm)) {
      returns.set(`${name}.${method}`, type);
    }
  }

  function look(type: string, value: unknown, where: string): void {
    const alternatives = type.split(" | ");
    if (value === null && alternatives.includes("null")) return;
    const one = alternatives.filter((alternative) => alternative !== "null").join(" | ");
    const fields = interfaces.get(one);
    if (one === "any" || one === "unknown" || one.includes(" | ")) return;
    if (one === "void") assert.ok(value === undefined || value === null, `${where} is there`);
    else if (one === "Date") assert.ok(value instanceof Date && !Number.isNaN(value.getTime()), `${where} is no date`);
    else if (["string", "number", "boolean"].includes(one)) assert.equal(typeof value, one, where);
    else if (enums.has(one)) assert.ok(enums.get(one)?.includes(value), `${where} is ${value}`);
    else if (one.endsWith("[]")) {
      assert.ok(Array.isArray(value), `${where} is no list`);
      for (const [i, item] of value.entries()) look(one.slice(0, -2), item, `${where}[${i}]`);
    } else if (fields !== undefined) {
      assert.ok(typeof value === "object" && value !== null, `${where} is no ${one}`);
      const object = value as { [name: string]: unknown };
      for (const { name, optional, type } of fields) {
        if (optional && object[name] === undefined) continue;
        assert.ok(object[name] !== undefined, `${where}.${name} is missing`);
        look(type, object[name], `${where}.${name}`);
      }
    } else assert.ok(one.startsWith("{") && typeof value === "object" && value !== null, `${where} is no ${one}`);
  }

  return {
    check(className, method, value) {
      const type = returns.get(`${className}.${method}`);
      assert.ok(type !== undefined, `${className}.${method} is not declared`);
      look(type, value, type);
    },
  };
}

/** The fields of one interface; what is declared in place is an object of some kind. */
function fieldsIn(body: string): Field[] {
  const flat = body.replace(/\{[^{}]*\}/g, "{}");
  return [...flat.matchAll(/^\s+(\w+)(\?)?: (.+);$/gm)].map(([, name = "", optional, type = ""]) => ({
    name,
    optional: optional !== undefined,
    type,
  }));
}
