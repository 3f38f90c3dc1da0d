import type { OutputFile } from "../../model/host-io/files.ts";

const BUFFER_SIZE = 1 << 20;
const ZEROS = Buffer.alloc(BUFFER_SIZE);

/** Writes many small neighbours at once. */
export class GatheringWriter {
  readonly #file: Pick<OutputFile, "replace">;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  #offset = 0;
  #fill = 0;

  constructor(file: Pick<OutputFile, "replace">) {
    this.#file = file;
  }

  /** @param bytes the caller's again afterwards */
  async put(offset: number, bytes: Uint8Array): Promise<void> {
    const follows = offset === this.#offset + this.#fill && bytes.length <= BUFFER_SIZE - this.#fill;
    if (!follows) await this.flush();
    if (bytes.length >= BUFFER_SIZE) return await this.#file.replace(offset, bytes);
    if (this.#fill === 0) this.#offset = offset;
    this.#buffer.set(bytes, this.#fill);
    this.#fill += bytes.length;
  }

  /** As `put`, for a place that is a hole so far. @returns whether there was something to write */
  async putUnlessZero(offset: number, bytes: Uint8Array): Promise<boolean> {
    const isZero = bytes.length <= BUFFER_SIZE && ZEROS.subarray(0, bytes.length).equals(bytes);
    if (!isZero) await this.put(offset, bytes);
    return !isZero;
  }

  async flush(): Promise<void> {
    if (this.#fill === 0) return;
    const bytes = this.#buffer.subarray(0, this.#fill);
    this.#fill = 0;
    await this.#file.replace(this.#offset, bytes);
  }
}
