import { encodeQcow2, openQcow2 } from "../../formats/qcow2/index.ts";
import { MAX_STORE_FILE_SIZE } from "../../formats/varstore/index.ts";
import { memorySource } from "../../lib/bytes/byte-source.ts";
import { FormatError } from "../../lib/errors.ts";
import { loadFile, openOutputFile } from "../host-io/files.ts";

/** How a flash image lies in its file: Fedora ships AAVMF as qcow2, because most of its 64 MiB are empty. */
export type StoreContainer = "raw" | "qcow2";

export interface StoreFile {
  readonly container: StoreContainer;
  /** The flash image. */
  readonly bytes: Uint8Array;
}

const QCOW2_MAGIC = "QFI\xfb";
const TOO_LARGE = "varstore.too-large";

/** @throws {FormatError} `varstore.too-large`, `qcow2.…` */
export async function loadStoreFile(path: string): Promise<StoreFile> {
  const bytes = await loadFile(path, "variable store", MAX_STORE_FILE_SIZE, TOO_LARGE);
  if (Buffer.from(bytes.subarray(0, 4)).toString("latin1") !== QCOW2_MAGIC) return { container: "raw", bytes };
  const disk = openQcow2(memorySource(bytes));
  if (disk.size > MAX_STORE_FILE_SIZE) {
    const expected = `at most ${MAX_STORE_FILE_SIZE} bytes`;
    throw new FormatError(TOO_LARGE, { what: "variable store in qcow2", expected, found: String(disk.size) });
  }
  return { container: "qcow2", bytes: disk.read(0, disk.size) };
}

/**
 * Writes a flash image whole or not at all.
 *
 * @throws {InputOutputError} `output.…`
 */
export async function storeStoreFile(
  path: string,
  { container, bytes }: StoreFile,
  options: { readonly overwrite?: boolean; readonly mode?: number; readonly signal?: AbortSignal } = {},
): Promise<void> {
  await using output = await openOutputFile(path, options);
  if (container === "raw") {
    await output.write(bytes);
  } else {
    // The header comes last, in front of what is there already.
    for await (const piece of encodeQcow2([{ offset: 0, bytes }], { size: bytes.length })) {
      if (piece.offset >= output.size) {
        await output.write(new Uint8Array(piece.offset - output.size));
        await output.write(piece.bytes);
      } else {
        await output.replace(piece.offset, piece.bytes);
      }
    }
  }
  await output.commit();
}
