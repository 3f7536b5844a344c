// How the page looks: one style sheet, light and dark, readable from 360 points of width. Clusters
// are told apart by colours that stay apart for the colour-blind (Okabe and Ito); failure has its
// own colour and a word beside it everywhere.

/** In the order in which clusters are named; the ninth begins again. */
export const CLUSTER_COLOURS = [
  "#0072b2",
  "#e69f00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#8c6d1f",
  "#6a51a3",
  "#7f7f7f",
];

/** The parts of a recovery, in the order in which they come; none is a cluster's. */
export const PART_COLOURS = ["#2b3a55", "#4f6a94", "#86a0c8", "#bccbe3"];

export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6675; --paper: #ffffff;
  --card: #f5f7fa; --line: #d9dfe7; --good: #16794a; --bad: #c62828; --warn: #a15c00;
  --fault: rgba(198, 40, 40, 0.08); }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf2; --soft: #9aa6b5; --paper: #12161c;
  --card: #1b212a; --line: #2e3743; --good: #4cc38a; --bad: #ff6b6b; --warn: #f0b252;
  --fault: rgba(255, 107, 107, 0.14); } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.15rem; margin: 40px 0 12px; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 0 0 8px; }
.soft { color: var(--soft); }
.head { display: flex; flex-wrap: wrap; gap: 12px 20px; align-items: flex-start;
  justify-content: space-between; }
.head > div { min-width: 0; flex: 1 1 320px; }
.verdict { display: inline-block; padding: 6px 14px; border-radius: 6px; color: #fff;
  font-weight: 700; letter-spacing: 0.04em; white-space: nowrap; }
.PASS { background: #16794a; } .FAIL, .CAPACITY_CHECK_FAILED { background: #c62828; }
.INTERRUPTED, .ABORTED { background: #a15c00; }
.tag { font-size: 0.78rem; padding: 2px 8px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 20px 0 8px; }
.figure { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; }
.figure b { display: block; font-size: 1.55rem; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.figure.good b { color: var(--good); } .figure.bad b { color: var(--bad); }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 16px; margin: 0 0 16px; }
.card > header { display: flex; gap: 10px; align-items: center; flex-wrap: wrap;
  margin: 0 0 10px; }
.chart { position: relative; height: 150px; margin: 8px 0 4px; border-bottom: 1px solid
  var(--line); }
.chart svg { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.mark { position: absolute; top: 0; bottom: 0; border-left: 1.5px dashed var(--ink); }
.mark span { position: absolute; top: 2px; left: -9px; width: 18px; height: 18px;
  border-radius: 9px; background: var(--ink); color: var(--paper); font-size: 11px;
  line-height: 18px; text-align: center; font-weight: 700; }
.axis { display: flex; justify-content: space-between; font-size: 0.78rem; color: var(--soft);
  font-variant-numeric: tabular-nums; gap: 8px; white-space: nowrap; }
.axis .middle { overflow: hidden; text-overflow: ellipsis; }
.caption { margin: 18px 0 0; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 0.85rem; margin: 8px 0; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  margin-right: 6px; vertical-align: -1px; }
.steps { list-style: none; margin: 8px 0 0; padding: 0; display: grid; gap: 2px 20px;
  grid-template-columns: repeat(auto-fill, minmax(265px, 1fr)); font-size: 0.88rem; }
.steps b { display: inline-block; min-width: 1.4em; }
.parts { display: flex; height: 26px; border-radius: 5px; overflow: hidden; margin: 10px 0 4px;
  background: var(--card); }
.parts div { min-width: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.bad { color: var(--bad); font-weight: 600; }
code, pre { font: 0.85em/1.45 ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 10px 12px; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 8px; }
ul.reasons { margin: 4px 0 0; padding-left: 20px; }
@media print { .card { break-inside: avoid; } }
`;
