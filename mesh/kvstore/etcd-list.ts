// Reading a prefix in pages at one revision. Page sizes follow the size of the values: a page
// that does not fit the receive limit is asked for again at half the keys, and a single value
// that does not fit is skipped and reported, never fatal.
import { setImmediate as nextTurn } from "node:timers/promises";
import { isMeshError, MeshError } from "../core/errors.ts";
import type { EtcdConnection } from "./etcd-connection.ts";
import { advancePin, pinFromHeader, type EtcdPin, type ResponseHeader } from "./etcd-pin.ts";
import type { StoreEntry } from "./store.ts";

/** The first page. Small enough for any reasonable values, large enough that a short list is one. */
const FIRST_PAGE_KEYS = 1_000;
/** etcd 3.4 walks the index of the whole rest of the range for every page, so few pages are
 * better than many; 8,000 keys of 300 bytes are 3 MiB. */
const MAX_PAGE_KEYS = 8_000;
/** Pages grow while they stay below this, which is what one decode may hold the event loop for. */
const PAGE_TARGET_BYTES = 2 * 1024 * 1024;
const PAGE_TIMEOUT_MS = 30_000;
/** Entries that the consumer gets between two turns of the event loop: some 10 ms of work. What
 * it writes meanwhile would otherwise wait for a whole page to be read. */
const SLICE_KEYS = 1_000;

/** A page, or one slice of a large one. */
export interface ListPage {
  readonly entries: readonly StoreEntry[];
  /** Keys whose values do not fit the receive limit. */
  readonly skipped: readonly string[];
  /** The revision of the whole list. */
  readonly pin: EtcdPin;
}

interface RangeResponse {
  readonly header: ResponseHeader;
  readonly kvs: readonly { key: Buffer; value: Buffer; mod_revision: string }[];
  readonly more: boolean;
}

interface FetchedPage extends Pick<RangeResponse, "kvs" | "more"> {
  readonly skipped: readonly string[];
  readonly pin: EtcdPin;
}

/** Asks for the next page while the consumer handles the present one, and no further ahead. */
export async function* listPages(
  options: {
    connection: EtcdConnection;
    prefix: string;
    exact?: boolean | undefined;
    pin?: EtcdPin | undefined;
  },
  signal: AbortSignal,
): AsyncGenerator<ListPage> {
  const { connection, prefix } = options;
  const rangeEnd = rangeEndOfPrefix(prefix, options.exact);
  let start: Buffer = Buffer.from(prefix);
  let limit = FIRST_PAGE_KEYS;
  let pin: EtcdPin | undefined;

  const fetch = async (keysOnly = false): Promise<RangeResponse> =>
    connection.call<RangeResponse>(
      {
        service: "KV",
        method: "range",
        request: {
          key: start,
          range_end: rangeEnd,
          limit: keysOnly ? 1 : limit,
          revision: pin?.revision.toString() ?? "0",
          keys_only: keysOnly,
        },
        timeoutMs: PAGE_TIMEOUT_MS,
        doing: `list "${prefix}"`,
      },
      signal,
    );

  async function nextPage(): Promise<FetchedPage> {
    for (;;) {
      let response: RangeResponse;
      let skipped: string[] = [];
      try {
        response = await fetch();
      } catch (error) {
        if (!isMeshError(error, "resource_exhausted")) throw error;
        if (limit > 1) {
          limit = Math.max(1, limit >> 1);
          continue;
        }
        response = await fetch(true);
        skipped = response.kvs.map(({ key }) => key.toString());
      }
      const seen = pinFromHeader(response.header);
      advancePin(pin ?? options.pin, seen);
      pin ??= seen;
      const last = response.kvs.at(-1);
      if (last !== undefined) start = Buffer.concat([last.key, Buffer.from([0])]);
      limit = nextPageLimit(limit, response);
      const kvs = skipped.length > 0 ? [] : response.kvs;
      return { kvs, skipped, pin, more: response.more && last !== undefined };
    }
  }

  let pending = nextPage();
  for (;;) {
    const page = await pending;
    if (page.more) {
      pending = nextPage();
      pending.catch(() => {}); // Awaited in the next turn, unless the consumer has gone.
    }
    yield* slices(page);
    if (!page.more) return;
  }
}

/** At least one, which may be empty: it tells of the revision. */
async function* slices({ kvs, skipped, pin }: FetchedPage): AsyncGenerator<ListPage> {
  yield { entries: kvs.slice(0, SLICE_KEYS).map(entryFromKeyValue), skipped, pin };
  for (let start = SLICE_KEYS; start < kvs.length; start += SLICE_KEYS) {
    await nextTurn();
    const entries = kvs.slice(start, start + SLICE_KEYS).map(entryFromKeyValue);
    yield { entries, skipped: [], pin };
  }
}

/** The end of the range of all keys below a prefix, or of one key, as etcd wants it. */
export function rangeEndOfPrefix(prefix: string, exact = false): Buffer | undefined {
  // Left out, not empty: an empty one that is on the wire means all keys from here on.
  if (exact) return undefined;
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    const byte = end[i] ?? 0;
    if (byte < 0xff) {
      end[i] = byte + 1;
      return end.subarray(0, i + 1);
    }
  }
  return Buffer.from([0]);
}

export function entryFromKeyValue(kv: {
  key: Buffer;
  value: Buffer;
  mod_revision: string;
}): StoreEntry {
  // The value is copied: decoded fields are windows into their message, and one kept value would
  // keep a whole page.
  return {
    key: kv.key.toString(),
    value: Buffer.from(kv.value),
    revision: BigInt(kv.mod_revision),
  };
}

export function refusedForSize(key: string): MeshError {
  return new MeshError(
    "resource_exhausted",
    `Cannot read "${key.slice(0, 256)}": its value is larger than any message may be`,
  );
}

/** Twice as many keys while pages stay small; never again as many as have just been too large. */
function nextPageLimit(limit: number, response: RangeResponse): number {
  let bytes = 0;
  for (const { key, value } of response.kvs) bytes += key.length + value.length;
  if (response.kvs.length < limit || bytes * 2 > PAGE_TARGET_BYTES) return limit;
  return Math.min(MAX_PAGE_KEYS, limit * 2);
}
