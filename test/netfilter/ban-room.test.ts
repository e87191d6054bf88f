import assert from "node:assert/strict";
import { test } from "node:test";
import { banRoomOf } from "../../src/netfilter/ban-room.ts";

test("with ipset there is room for networks, and for what a set holds beside the list", () => {
  const room = banRoomOf(100, null);
  assert.deepEqual([room.capacity, room.networks], [262_244, true]);
  assert.match(room.remedy, /remove bans that are not needed/);
});

test("without ipset there is room for addresses alone, as many as the list holds, and the remedy says how to have more", () => {
  const room = banRoomOf(100, "the program ipset is missing: install Debian's package ipset");
  assert.deepEqual([room.capacity, room.networks], [100, false]);
  assert.match(room.remedy, /^the program ipset is missing: install Debian's package ipset; .*ip_list_tot \(now 100;/);
});
