// The drill's report in a real browser, wide and narrow: nothing sticks out, nothing is fetched,
// nothing of a report's text becomes part of the page, and the picture shows what was counted.
// TOMBOLO_SCREENSHOTS=DIRECTORY keeps what the browser has drawn.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { renderHtml } from "../../mesh/drill/report-html.ts";
import type { DrillReport } from "../../mesh/drill/report.ts";
import { drillReport, drillRun, serviceResult } from "../fakes/drill-report.ts";

const WIDTHS = { wide: 1280, narrow: 360 };
const HOSTILE = `"><script>window.broken = true</script><img src=x onerror="window.broken = true">`;
const LONG = "a-service-of-which-the-name-is-as-long-as-kubernetes-allows-for-names".repeat(2);
/** Expressions for the page itself, so that the project needs no types of browsers. */
const BOXES_OF_MARKS = `[...document.querySelectorAll(".chart")].map((chart) =>
  [...chart.querySelectorAll(".mark span")].map((mark) => {
    const { left, top, right, bottom } = mark.getBoundingClientRect();
    return { left, top, right, bottom };
  }))`;
const COLOURS_OF_POINTS = `[[0.08, 0.35], [0.4, 0.35], [0.95, 0.35]].map(([share, height]) => {
  const box = document.querySelector(".chart svg").getBoundingClientRect();
  const [x, y] = [box.left + box.width * share, box.top + box.height * height];
  const hit = document.elementsFromPoint(x, y);
  return hit.find(({ tagName }) => ["path", "rect"].includes(tagName)).getAttribute("style");
})`;
let browser: Browser;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "tombolo-browser-"));
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking"],
  });
});

afterAll(async () => {
  await browser?.close();
  rmSync(directory, { recursive: true, force: true });
});

describe.each(Object.entries(WIDTHS))("%s", (name, width) => {
  test("says at the top what a manager asks", async () => {
    await using page = await open(drillReport(), { name, width });
    const top = await page.page.locator("main").innerText();
    expect(top).toContain("west goes dark");
    expect(top).toContain("PASS");
    expect(top).toMatch(/612 ms\s+recovery time, worst/);
    expect(top).toMatch(/102\s+of 15,000 requests lost \(0\.68 %\)/);
    expect(top).toMatch(/proved\s+restored as it was/);
    expect(page.errors).toEqual([]);
    expect(page.requests).toEqual([page.page.url()]);
  });

  test("nothing is wider than the page, and no mark covers another", async () => {
    const services = [serviceResult({ service: `shop/${LONG}` }), serviceResult()];
    const report = drillReport({ runs: [drillRun({ services }), drillRun({ number: 2 })] });
    await using page = await open(report, { name: `${name}-long`, width });
    const sizes = await inPage<{ readonly page: number; readonly window: number }>(
      page,
      "({ page: document.documentElement.scrollWidth, window: window.innerWidth })",
    );
    expect(sizes.page).toBe(sizes.window);
    const marks = await inPage<readonly (readonly Box[])[]>(page, BOXES_OF_MARKS);
    expect(marks.flat().length).toBeGreaterThan(0);
    for (const chart of marks) {
      chart.forEach((a, i) => {
        for (const b of chart.slice(i + 1)) {
          const apart =
            a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
          expect({ a, b, apart }).toMatchObject({ apart: true });
        }
      });
    }
  });

  test("the picture shows the gap: who answered before, nobody of west during", async () => {
    await using page = await open(drillReport(), { name, width });
    // Points of the picture, as the browser painted them: x in the fault, at three heights.
    const colours = await inPage<readonly string[]>(page, COLOURS_OF_POINTS);
    expect(colours).toEqual(["fill:#009e73", "fill:#e69f00", "fill:#009e73"]);
  });
});

test("text of a report stays text", async () => {
  const report = drillReport({
    name: HOSTILE,
    hypothesis: HOSTILE,
    command: HOSTILE,
    software: { [HOSTILE]: HOSTILE },
    clusters: [HOSTILE],
    runs: [
      drillRun({
        reasons: [HOSTILE],
        services: [serviceResult({ service: HOSTILE, reasons: [HOSTILE] })],
        restoration: { proved: false, differences: [HOSTILE] },
      }),
    ],
  });
  await using page = await open(report, { name: "hostile", width: WIDTHS.wide });
  const found = await inPage(
    page,
    `({
      broken: "broken" in window,
      elements: document.querySelectorAll("script, img").length,
      title: document.querySelector("h1").textContent,
    })`,
  );
  expect(found).toEqual({ broken: false, elements: 0, title: HOSTILE });
});

test("dark pages have light ink", async () => {
  await using page = await open(drillReport(), { name: "dark", width: WIDTHS.wide, dark: true });
  const { ink, paper } = await inPage<{ readonly ink: string; readonly paper: string }>(
    page,
    `(({ color, backgroundColor }) => ({ ink: color, paper: backgroundColor }))(
      getComputedStyle(document.body),
    )`,
  );
  expect([brightness(ink) > 180, brightness(paper) < 60]).toEqual([true, true]);
});

interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

function inPage<T>({ page }: OpenPage, expression: string): Promise<T> {
  return page.evaluate<T>(expression);
}

interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  readonly errors: readonly string[];
  /** Everything that the page has asked for. */
  readonly requests: readonly string[];
}

async function open(
  report: DrillReport,
  view: { readonly name: string; readonly width: number; readonly dark?: boolean },
): Promise<OpenPage> {
  const path = join(directory, `${view.name}.html`);
  writeFileSync(path, renderHtml(report));
  const page = await browser.newPage({
    viewport: { width: view.width, height: 900 },
    colorScheme: view.dark === true ? "dark" : "light",
  });
  const errors: string[] = [];
  const requests: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => void (message.type() === "error" && errors.push(message.text())));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(pathToFileURL(path).href);
  const kept = process.env["TOMBOLO_SCREENSHOTS"];
  if (kept !== undefined) {
    await page.screenshot({ path: join(kept, `${view.name}.png`), fullPage: true });
  }
  return { page, errors, requests, [Symbol.asyncDispose]: () => page.close() };
}

function brightness(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (colour.match(/\d+/g) ?? []).map(Number);
  return (red + green + blue) / 3;
}
