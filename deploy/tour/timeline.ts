// Lines of a story as it happens: seconds since the start, what happened, and figures.
import { styled, type Output } from "../../mesh/terminal.ts";
import type { Clock } from "../../mesh/core/clock.ts";

type Paint = (style: Parameters<typeof styled>[1], text: string) => string;

export interface Timeline {
  /** A new part of the story. */
  chapter(title: string): void;
  /** Something that has happened just now. */
  event(text: string): void;
  /** Something worth a second look. */
  result(text: string, outcome: "good" | "bad"): void;
  /** Lines as they are, without a time. */
  block(render: (paint: Paint) => string): void;
  readonly elapsedSeconds: () => number;
}

export function createTimeline(output: Output, clock: Clock): Timeline {
  const startMs = clock.monotonicMs();
  const elapsedSeconds = (): number => (clock.monotonicMs() - startMs) / 1000;
  const stamp = (): string => styled(output, "dim", `${elapsedSeconds().toFixed(1).padStart(6)} s`);
  return {
    elapsedSeconds,
    chapter: (title) => output.write(`\n${styled(output, "bold", title)}\n`),
    block: (render) => output.write(`${render((style, text) => styled(output, style, text))}\n`),
    event: (text) => output.write(`${stamp()}  ${text}\n`),
    result: (text, outcome) => {
      output.write(`${stamp()}  ${styled(output, outcome === "good" ? "green" : "red", text)}\n`);
    },
  };
}
