import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { computeDigests } from "../../src/actions/digest/compute-digests.ts";
import { treeFromLayers } from "../../src/model/tree/apply.ts";
import { randomLayers } from "../random-layers.ts";
import { unpackWithUmoci } from "../tools/umoci.ts";
import { encodeLayer, flattenTree, writeImageOf } from "../write-layers.ts";

/**
 * The two roads to a digest: an image, and the directory that umoci makes of it. Owners, devices and xattrs take root.
 * How umoci merges several layers is compared in layers-umoci.test.ts.
 */
let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "umoci-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const isRoot = process.getuid?.() === 0;
if (!isRoot) {
  test("without root, images were not compared with the directories that umoci makes of them", () => {
    console.warn("not root: images were not compared with the directories that umoci makes of them");
  });
}

test.runIf(isRoot).each([1, 2, 3, 4, 5, 6])(
  "image %i and what umoci unpacks have one digest and one dump",
  async (seed) => {
    const [layout, bundle] = [join(work, `layout-${seed}`), join(work, `bundle-${seed}`)];
    const merged = treeFromLayers(randomLayers(seed, { policy: seed % 2 === 0, storable: true }));
    await writeImageOf(`oci:${layout}:test`, [encodeLayer(flattenTree(merged))]);
    const root = unpackWithUmoci(layout, "test", bundle);
    for (const plain of [true, false]) {
      const [image, directory] = [join(work, "image.dump"), join(work, "directory.dump")];
      const options = { formats: "all", plain } as const;
      const ofImage = await computeDigests(`oci:${layout}:test`, { ...options, dumpfile: image });
      const ofDirectory = await computeDigests(`dir:${root}`, { ...options, dumpfile: directory });
      expect(readFileSync(directory, "latin1")).toBe(readFileSync(image, "latin1"));
      expect(ofDirectory.digests).toEqual(ofImage.digests);
    }
  },
);
