// What is known of one kind of objects and what has to be asked next. Pure: answers of the API
// server go in, changes of the table come out; watch-loop.ts does the asking.
//
//            page with a rest ┐              event, bookmark ┐
//              ┌──────────────┴┐    last page   ┌────────────┴┐
//   start ────►│     list      ├───────────────►│    watch    │
//              └───▲───────────┘                └──────┬──────┘
//        gone: all │ over again, larger pages          │ gone (410), doubt, or versions
//                  └───────────────────────────────────┘ that went back
//
// Before a watch is begun again, the server is asked for its present version. One that is lower
// than ours is another etcd's, or a restored one's: a watch from our version would be silent there
// until theirs has caught up, and miss all that happens until then.
//
// Objects of a page are believed at once; what a list lacks is deleted when its last page has
// come, and only then. A connection that breaks changes nothing here: the same page, or the watch
// from the same version, is asked for again.

/** An object of the API with what every one has. The rest is the converters' business. */
export interface ApiObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
  };
}

export type WatchState =
  | {
      readonly phase: "list";
      readonly pageSize: number;
      /** Empty for the first page. */
      readonly continueToken: string;
      /** Keys on the pages so far. */
      readonly listed: ReadonlySet<string>;
    }
  | {
      readonly phase: "watch";
      readonly resourceVersion: string;
      /** Whether the server has just shown that it has come as far as we have. */
      readonly proven: boolean;
    };

export type WatchInput =
  | {
      readonly kind: "page";
      readonly items: readonly ApiObject[];
      readonly resourceVersion: string;
      readonly continueToken: string;
    }
  | {
      readonly kind: "event";
      readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
      readonly object: ApiObject;
    }
  /** The server's version before a watch is begun again. */
  | { readonly kind: "present"; readonly resourceVersion: string }
  /** The watch has ended, whatever ended it. */
  | { readonly kind: "ended" }
  /** The version or page that was asked for is not kept any more. */
  | { readonly kind: "gone" }
  /** The server may have another past than the one that we know. */
  | { readonly kind: "doubt" };

export type WatchChange =
  | { readonly kind: "put"; readonly object: ApiObject }
  | { readonly kind: "delete"; readonly key: string }
  /** Everything else is deleted, and the kind is known whole. */
  | { readonly kind: "retain"; readonly keys: ReadonlySet<string> };

export interface WatchStep {
  readonly state: WatchState;
  readonly changes: readonly WatchChange[];
}

/** Some megabytes of pods: parsed in tens of milliseconds. */
export const FIRST_PAGE_SIZE = 500;
/** A list that outlived its version was too slow in small pages; each attempt takes fewer of them. */
const PAGE_GROWTH = 10;

export const INITIAL_WATCH_STATE: WatchState = listAgain(FIRST_PAGE_SIZE);

export function stepWatch(state: WatchState, input: WatchInput): WatchStep {
  switch (input.kind) {
    case "page":
      return state.phase === "list" ? stepPage(state, input) : unchanged(state);
    case "event":
      return state.phase === "watch" ? stepEvent(state, input) : unchanged(state);
    case "present":
      return state.phase === "watch" ? stepPresent(state, input) : unchanged(state);
    case "ended":
      return unchanged(state.phase === "watch" ? { ...state, proven: false } : state);
    case "doubt":
      return unchanged(listAgain(FIRST_PAGE_SIZE));
    case "gone": {
      const again = state.phase === "list" ? state.pageSize * PAGE_GROWTH : FIRST_PAGE_SIZE;
      return unchanged(listAgain(again));
    }
  }
}

/** The key under which an object stands in its table. */
export function apiObjectKey({ metadata: { namespace, name } }: ApiObject): string {
  return namespace === undefined || namespace === "" ? name : `${namespace}/${name}`;
}

function stepPage(
  state: Extract<WatchState, { phase: "list" }>,
  page: Extract<WatchInput, { kind: "page" }>,
): WatchStep {
  const listed = new Set(state.listed);
  for (const object of page.items) listed.add(apiObjectKey(object));
  const puts = page.items.map((object): WatchChange => ({ kind: "put", object }));
  if (page.continueToken !== "") {
    return { state: { ...state, continueToken: page.continueToken, listed }, changes: puts };
  }
  return {
    state: { phase: "watch", resourceVersion: page.resourceVersion, proven: true },
    changes: [...puts, { kind: "retain", keys: listed }],
  };
}

function stepEvent(
  state: Extract<WatchState, { phase: "watch" }>,
  { type, object }: Extract<WatchInput, { kind: "event" }>,
): WatchStep {
  const resourceVersion = object.metadata.resourceVersion ?? state.resourceVersion;
  // Another etcd behind the same address, or one that was restored: what we know proves nothing.
  if (wentBack(state.resourceVersion, resourceVersion)) {
    return unchanged(listAgain(FIRST_PAGE_SIZE));
  }
  const next: WatchState = { ...state, resourceVersion };
  if (type === "BOOKMARK") return unchanged(next);
  const change: WatchChange =
    type === "DELETED" ? { kind: "delete", key: apiObjectKey(object) } : { kind: "put", object };
  return { state: next, changes: [change] };
}

function stepPresent(
  state: Extract<WatchState, { phase: "watch" }>,
  present: Extract<WatchInput, { kind: "present" }>,
): WatchStep {
  return unchanged(
    wentBack(state.resourceVersion, present.resourceVersion)
      ? listAgain(FIRST_PAGE_SIZE)
      : { ...state, proven: true },
  );
}

/** Versions are opaque by contract and revisions of etcd in fact: only two numbers are compared. */
function wentBack(before: string, after: string): boolean {
  return /^\d+$/.test(before) && /^\d+$/.test(after) && BigInt(after) < BigInt(before);
}

function listAgain(pageSize: number): WatchState {
  return { phase: "list", pageSize, continueToken: "", listed: new Set() };
}

function unchanged(state: WatchState): WatchStep {
  return { state, changes: [] };
}
