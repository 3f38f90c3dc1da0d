import type { VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { CONTENT_TYPES, SplitStreamWriter } from "../../formats/splitstream/index.ts";
import type { TarTap } from "../layer/scan.ts";
import type { ExternalContent } from "../tree/tree.ts";

/** Makes the split stream of a layer from its tar, as a scan shows it. */
export class LayerStream implements TarTap {
  readonly #algorithm: VerityAlgorithm;
  readonly #writer: SplitStreamWriter;
  /** What waits for the digest of a content before it. */
  readonly #waiting: (Uint8Array | ExternalContent)[] = [];

  constructor(algorithm: VerityAlgorithm) {
    this.#algorithm = algorithm;
    this.#writer = new SplitStreamWriter(CONTENT_TYPES.layer, algorithm);
  }

  inline(bytes: Uint8Array): void {
    // A copy that is not shared with workers: the view is overwritten soon.
    this.#waiting.push(new Uint8Array(bytes));
  }

  external(content: ExternalContent): void {
    this.#waiting.push(content);
  }

  async drained(): Promise<void> {
    this.#pass();
    await this.#writer.drained();
  }

  /** The whole file; the scan must be done. */
  async finish(): Promise<Uint8Array> {
    this.#pass();
    if (this.#waiting.length > 0) throw new Error("a content without a digest");
    return await this.#writer.finish();
  }

  #pass(): void {
    let passed = 0;
    for (const part of this.#waiting) {
      if (part instanceof Uint8Array) {
        this.#writer.inline(part);
      } else {
        const digest = part.digests[this.#algorithm];
        if (digest === undefined) break;
        this.#writer.external(digest, Number(part.size));
      }
      passed++;
    }
    this.#waiting.splice(0, passed);
  }
}
