// Whoever watches a drill: told where it stands.

export interface DrillObserver {
  /** A phase begins. */
  phase(name: string): void;
  run(number: number, of: number): void;
  /** A sentence for people. */
  note(text: string): void;
}
