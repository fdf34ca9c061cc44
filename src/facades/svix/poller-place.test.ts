import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageId } from "../../engine/model.ts";
import { newId } from "../../lib/ids.ts";
import { MOST_SEEN, type Place, placeAfter, placeAt, placeBody, placeIn, placeOf, placeText } from "./poller-place.ts";

const NOW = Date.UTC(2026, 0, 5);
const ids = (count: number, at: number): MessageId[] => Array.from({ length: count }, () => newId("msg", at));

test("a place can be written down and read again", () => {
  for (const seen of [[], ids(1, NOW), ids(MOST_SEEN, NOW + 1)]) {
    const place: Place = { after: placeAt(NOW).after, seen };
    assert.deepEqual(placeIn(placeText(place)), place);
    assert.deepEqual(placeOf(placeBody(place)), place);
    assert.ok(placeText(place).length < 4_000);
  }
  assert.ok(placeText(placeAt(0)) < placeText(placeAt(NOW)), "the beginning is before everything");
});

test("what is no iterator is none", () => {
  const text = placeText({ after: placeAt(NOW).after, seen: ids(2, NOW) });
  for (const bad of ["", "x", text.slice(0, 30), `${text}AAAA`, text.replace(".", ".."), `${text}!`, ` ${text}`]) {
    assert.equal(placeIn(bad), null, bad);
  }
  const many = placeText({ after: placeAt(NOW).after, seen: ids(MOST_SEEN + 1, NOW) });
  assert.equal(placeIn(many), null);
});

test("single messages are remembered while one before them may still come", () => {
  const [a, b] = ids(2, NOW + 10) as [MessageId, MessageId];
  const start = placeAt(NOW);
  const first = placeAfter(start, [b], NOW + 20);
  assert.deepEqual(first, { after: start.after, seen: [b] });
  const second = placeAfter(first, [a], NOW + 30);
  assert.deepEqual(second, { after: start.after, seen: [a, b] });
  assert.deepEqual(placeAfter(second, [], NOW + 60_000), { after: b, seen: [] });
  const crowd = ids(MOST_SEEN + 10, NOW + 100);
  const third = placeAfter(second, crowd, NOW + 100);
  assert.equal(third.after, crowd[9]);
  assert.deepEqual(third.seen, crowd.slice(10));
});
