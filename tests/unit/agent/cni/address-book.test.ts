import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  openAddressBook,
  type AddressBook,
  type AddressRecord,
} from "../../../../agent/cni/address-book.ts";
import { parseAddress, parsePrefix } from "../../../../mesh/core/address.ts";

const ROUTER = [parseAddress("10.1.1.1"), parseAddress("fd00::1")];
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-book-"));
});
afterEach(() => rm(directory, { recursive: true }));

function open(uniqueName = "one", bootId = "boot"): Promise<AddressBook> {
  return openAddressBook(directory, { bootId, uniqueName });
}

function take(book: AddressBook, containerId: string, prefix = "10.1.1.0/29") {
  const owner = { containerId, ifName: "eth0", netns: "/n", pod: "", bpfRoot: "/b" };
  return book.take({ prefixes: [parsePrefix(prefix)], excluded: ROUTER, owner });
}

const texts = (records: readonly AddressRecord[]): string[] =>
  records.map(({ address }) => address).sort();

describe("AddressBook.take()", () => {
  test("never gives network, broadcast and router, and says when all is taken", async () => {
    const book = await open();
    const given: AddressRecord[] = [];
    for (const n of [2, 3, 4, 5, 6]) given.push(await take(book, `c${n}`));
    expect(texts(given)).toEqual(["10.1.1.2", "10.1.1.3", "10.1.1.4", "10.1.1.5", "10.1.1.6"]);
    await expect(take(book, "late")).rejects.toMatchObject({
      code: "resource_exhausted",
      message: expect.stringContaining("10.1.1.0/29"),
    });
    expect(texts(await book.list())).toEqual(texts(given));
  });

  test("goes on to the next prefix when the first is full", async () => {
    const book = await open();
    const prefixes = [parsePrefix("10.1.1.0/30"), parsePrefix("10.2.0.0/31")];
    const owner = { containerId: "c", ifName: "eth0", netns: "/n", pod: "", bpfRoot: "/b" };
    const given: string[] = [];
    for (const _ of [1, 2, 3])
      given.push((await book.take({ prefixes, excluded: ROUTER, owner })).address);
    expect(given).toEqual(["10.1.1.2", "10.2.0.0", "10.2.0.1"]);
  });

  test("uses what was given back last of all, the longest free first", async () => {
    const book = await open();
    const [a, b] = [await take(book, "a"), await take(book, "b")];
    await book.giveBack(b);
    await book.giveBack(a);
    const next: string[] = [];
    for (const n of [1, 2, 3, 4, 5]) next.push((await take(book, `n${n}`)).address);
    expect(next.slice(0, 3)).toEqual(["10.1.1.4", "10.1.1.5", "10.1.1.6"]);
    expect(next.slice(3).sort()).toEqual(["10.1.1.2", "10.1.1.3"]);
  });

  test("considers the beginning of a prefix without end", async () => {
    const book = await open();
    expect((await take(book, "a", "fd00::/64")).address).toBe("fd00::2");
  });

  test("gives many at once one each", async () => {
    const books = await Promise.all(Array.from({ length: 40 }, (_, i) => open(`u${i}`)));
    const given = await Promise.all(books.map((book, i) => take(book, `c${i}`, "10.1.1.0/26")));
    expect(new Set(texts(given)).size).toBe(40);
  });

  test("forgets what was taken before the machine was started anew", async () => {
    const before = await take(await open("one", "boot-1"), "c");
    const book = await open("one", "boot-2");
    expect(await book.list()).toEqual([]);
    expect((await take(book, "d")).address).toBe(before.address);
    expect(await readdir(directory)).toEqual(["boot-2"]);
  });
});

describe("AddressBook.giveBack()", () => {
  test("frees nothing that has another owner by now", async () => {
    const book = await open();
    const first = await take(book, "first", "10.1.1.0/30");
    await book.giveBack(first);
    const second = await take(book, "second", "10.1.1.0/30");
    expect(second.address).toBe(first.address);
    await book.giveBack(first);
    expect(await book.list()).toEqual([second]);
  });
});

describe("AddressBook.clear()", () => {
  test("removes what a killed take has left, and only that owner's", async () => {
    const book = await open();
    const kept = await take(book, "kept");
    const [boot = ""] = await readdir(directory);
    const owner = (await readdir(join(directory, boot, kept.address)))[0]?.split(".")[0] ?? "";
    for (const name of [`.new-${owner}-killed`, ".new-other-killed"]) {
      await mkdir(join(directory, boot, name));
    }
    await book.clear(kept);
    expect((await readdir(join(directory, boot))).sort()).toEqual([
      ".new-other-killed",
      kept.address,
    ]);
    expect(await book.list()).toEqual([kept]);
  });
});
