import {
  leavesSize,
  VERITY_ALGORITHMS,
  VERITY_BLOCK_SIZE,
  type VerityAlgorithm,
} from "../../formats/fsverity/index.ts";
import { ByteSlab } from "../../lib/bytes/slab.ts";
import type { WorkerPool } from "../../lib/hash/worker-pool.ts";
import type { VerityDigests } from "../tree/tree.ts";
import { LeafCollector } from "./leaf-collector.ts";
import type { Hashes, Piece, PiecesJob } from "./verity-worker.ts";

/** Free bytes before the data of a slot: an unfinished block of the slot before is put there. */
export const SLOT_HEADROOM = VERITY_BLOCK_SIZE;

const NOTHING_BEFORE: Promise<void> = Promise.resolve();

/** Digests that are filled in when the workers are done. */
export type PendingDigests = { -readonly [A in VerityAlgorithm]?: Uint8Array };

/** A content that is being hashed, in one piece or many. */
interface OpenContent {
  readonly size: number;
  readonly digests: PendingDigests;
  /** Bytes that passed by, and bytes whose hashes are in. */
  seen: number;
  hashed: number;
  /** Set as soon as the content does not lie in one slot. */
  collectors: Map<VerityAlgorithm, LeafCollector> | undefined;
  /** The leaves of the pieces before; they must be added in order. */
  before: Promise<void>;
}

/**
 * Hashes the contents of one layer, slot by slot: `begin` at each file, `content` for its runs, `flush` when the slot
 * is full.
 */
export class ContentHasher {
  readonly #pool: WorkerPool;
  readonly #algorithms: readonly VerityAlgorithm[];
  #open: OpenContent | undefined;
  #pieces: Piece[] = [];
  #owners: OpenContent[] = [];
  /** The unfinished block at the end of the slot before. */
  readonly #carry = new Uint8Array(VERITY_BLOCK_SIZE);
  #carried = 0;
  readonly #slab = new ByteSlab();

  constructor(pool: WorkerPool, algorithms: readonly VerityAlgorithm[]) {
    this.#pool = pool;
    this.#algorithms = algorithms;
  }

  /** @returns an object that has the digests once all that `flush` returned is resolved */
  begin(size: number): VerityDigests {
    const digests: PendingDigests = {};
    this.#open = { size, digests, seen: 0, hashed: 0, collectors: undefined, before: NOTHING_BEFORE };
    return digests;
  }

  /**
   * @param slot whole buffer of the slot
   * @param from start of the run in it; the first run of a slot starts at `SLOT_HEADROOM` if a content goes on there
   */
  content(slot: Uint8Array, from: number, to: number): void {
    const open = this.#open;
    if (open === undefined) throw new Error("content without a file");
    open.seen += to - from;
    let start = from;
    if (this.#carried > 0) {
      start -= this.#carried;
      slot.set(this.#carry.subarray(0, this.#carried), start);
      this.#carried = 0;
    }
    const last = open.seen === open.size;
    // Only the end of a content may be an unfinished block: anywhere else it waits for the rest.
    const end = last ? to : to - ((to - start) % VERITY_BLOCK_SIZE);
    this.#carry.set(slot.subarray(end, to));
    this.#carried = to - end;
    const whole = last && open.collectors === undefined;
    if (!whole)
      open.collectors ??= new Map(this.#algorithms.map((algorithm) => [algorithm, new LeafCollector(algorithm)]));
    if (end > start) {
      this.#pieces.push({ from: start, to: end, whole });
      this.#owners.push(open);
    }
    if (last) this.#open = undefined;
  }

  /** Hands what the slot holds to the workers. Resolves when it is hashed and the slot may be used again. */
  async flush(slot: Uint8Array): Promise<void> {
    if (this.#pieces.length === 0) return;
    const pieces = this.#pieces;
    const owners = this.#owners;
    this.#pieces = [];
    this.#owners = [];
    const job: PiecesJob = { kind: "pieces", bytes: slot, pieces, algorithms: this.#algorithms };
    const hashed = this.#pool.run<Hashes>(job);
    // At most one piece of a slot belongs to a content that began before it, and at most one goes on after it.
    const collected = owners
      .filter(({ collectors }) => collectors !== undefined)
      .map((owner) => {
        const before = owner.before;
        const { promise, resolve } = Promise.withResolvers<void>();
        owner.before = promise;
        return { before, resolve };
      });
    try {
      const [hashes] = await Promise.all([hashed, ...collected.map(({ before }) => before)]);
      this.#distribute(pieces, owners, hashes);
    } finally {
      for (const { resolve } of collected) resolve();
    }
  }

  #distribute(pieces: readonly Piece[], owners: readonly OpenContent[], hashes: Hashes): void {
    let at = 0;
    pieces.forEach(({ from, to, whole }, index) => {
      const owner = owners[index] as OpenContent;
      for (const algorithm of this.#algorithms) {
        const size = whole ? VERITY_ALGORITHMS[algorithm].digestSize : leavesSize(to - from, algorithm);
        const part = hashes.subarray(at, at + size);
        if (whole) owner.digests[algorithm] = this.#slab.copy(part);
        else owner.collectors?.get(algorithm)?.add(part);
        at += size;
      }
      owner.hashed += to - from;
      if (owner.hashed < owner.size) return;
      for (const [algorithm, collector] of owner.collectors ?? [])
        owner.digests[algorithm] = collector.digest(owner.size);
    });
  }
}
