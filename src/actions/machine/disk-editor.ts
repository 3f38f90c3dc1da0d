import { type FileHandle, open } from "node:fs/promises";
import type { DiskPatch } from "./placed-file.ts";

/** Changes a disk, and takes the changes back. */
export class DiskEditor implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #before: { readonly offset: number; readonly bytes: Uint8Array }[] = [];

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** @param path a raw image */
  static async open(path: string): Promise<DiskEditor> {
    return new DiskEditor(await open(path, "r+"));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const before = Buffer.alloc(bytes.length);
    await this.#handle.read(before, 0, before.length, offset);
    this.#before.push({ offset, bytes: before });
    await this.#handle.write(bytes, 0, bytes.length, offset);
  }

  patch({ bytes, offset }: DiskPatch): Promise<void> {
    return this.write(offset, bytes);
  }

  async flipBit(offset: number): Promise<void> {
    const byte = Buffer.alloc(1);
    await this.#handle.read(byte, 0, 1, offset);
    await this.write(offset, Uint8Array.of((byte[0] ?? 0) ^ 1));
  }

  async undo(): Promise<void> {
    for (const { bytes, offset } of this.#before.splice(0).reverse()) {
      await this.#handle.write(bytes, 0, bytes.length, offset);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.undo();
    await this.#handle.close();
  }
}
