import { type FatDirectory, type FatNode, planFat } from "../../formats/fat/index.ts";
import { resolvePieces } from "../../lib/bytes/piece.ts";
import type { DiskEditor } from "./disk-editor.ts";
import type { StoredEsp } from "./sealed-disk.ts";

/** Writes the ESP anew, with these files besides its own or in their place. */
export async function rewriteEsp(
  editor: DiskEditor,
  esp: StoredEsp,
  changes: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const { label, offset, size, volumeId } = esp;
  const plan = planFat(toTree(new Map([...esp.files, ...changes])), {
    size,
    volumeId,
    time: 0,
    hiddenSectors: offset / SECTOR_SIZE,
    ...(label === NO_LABEL ? {} : { label }),
  });
  for await (const piece of resolvePieces(plan.pieces(), open)) await editor.write(offset + piece.offset, piece.bytes);
}

const open = (content: Uint8Array, from: number, size: number): Uint8Array[] => [content.subarray(from, from + size)];

const SECTOR_SIZE = 512;
/** What a boot sector says that has no label. */
const NO_LABEL = "NO NAME";

function toTree(files: ReadonlyMap<string, Uint8Array>): FatDirectory<Uint8Array> {
  const root = new Map<string, FatNode<Uint8Array>>();
  for (const [path, content] of files) {
    const names = path.split("/");
    const name = names.pop() as string;
    names.reduce(enter, root).set(name, { kind: "file", size: content.length, content });
  }
  return { kind: "directory", entries: root };
}

type Entries = Map<string, FatNode<Uint8Array>>;

/** @returns the entries of a directory in `entries`, which is made when it is not there */
function enter(entries: Entries, name: string): Entries {
  const known = entries.get(name);
  if (known?.kind === "directory") return known.entries as Entries;
  const made: Entries = new Map();
  entries.set(name, { kind: "directory", entries: made });
  return made;
}
