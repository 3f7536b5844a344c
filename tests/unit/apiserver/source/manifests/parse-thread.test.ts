import { describe, expect, test } from "@jest/globals";
import { parseManifestFile } from "../../../../../apiserver/source/manifests/parse-file.ts";
import {
  PARSED_IN_PLACE_MAX_LENGTH,
  parseManifest,
} from "../../../../../apiserver/source/manifests/parse-thread.ts";
import { smallCluster } from "../../../../fakes/apiserver.ts";

const never = new AbortController().signal;
/** Large enough for a thread. */
const LARGE = smallCluster(1, 120);
const BROKEN = `${LARGE}---\napiVersion: v1\nkind: Node\nmetadata: {name: 7}\n`;

describe("parseManifest()", () => {
  test("gives what parseManifestFile() gives, for a small file and for a large one", async () => {
    expect(LARGE.length).toBeGreaterThan(PARSED_IN_PLACE_MAX_LENGTH);
    for (const text of [smallCluster(1), LARGE]) {
      const parsed = await parseManifest({ file: "a.yaml", text }, never);
      expect(parsed.objects.length).toBeGreaterThan(0);
      expect(parsed).toEqual(parseManifestFile("a.yaml", text));
    }
  }, 60_000);

  test("keeps line and column of an error in a large file", async () => {
    const { objects, problems } = await parseManifest({ file: "a.yaml", text: BROKEN }, never);
    expect(objects).toEqual([]);
    expect(problems).toEqual(parseManifestFile("a.yaml", BROKEN).problems);
    expect(problems).toMatchObject([
      { file: "a.yaml", severity: "error", line: BROKEN.split("\n").length - 1 },
    ]);
  }, 60_000);

  test("leaves the event loop free while a large file is parsed", async () => {
    let turns = 0;
    let parsing = true;
    const count = (): void => {
      turns++;
      if (parsing) setImmediate(count);
    };
    setImmediate(count);
    await parseManifest({ file: "a.yaml", text: LARGE }, never);
    parsing = false;
    expect(turns).toBeGreaterThan(10);
  }, 60_000);

  test("ends when its signal aborts, before and while it parses", async () => {
    for (const when of ["before", "while"]) {
      const end = new AbortController();
      if (when === "before") end.abort();
      const parsing = parseManifest({ file: "a.yaml", text: LARGE }, end.signal);
      end.abort();
      await expect(parsing).rejects.toMatchObject({ code: "aborted" });
    }
  }, 60_000);
});
