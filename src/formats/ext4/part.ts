import type { Piece } from "../../lib/bytes/piece.ts";
import { BLOCK_SIZE } from "./layout.ts";

/** A piece that is made when its turn has come. */
export interface Part<C> {
  readonly block: number;
  readonly make: () => Iterable<Piece<C>>;
}

/** A part of bytes that start with a block. */
export function part<C>(block: number, make: () => Uint8Array): Part<C> {
  return { block, make: () => [{ offset: block * BLOCK_SIZE, bytes: make() }] };
}
