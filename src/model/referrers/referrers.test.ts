import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { openTempDir } from "../host-io/temp.ts";
import { openImageSource } from "../image/open-image.ts";
import { findReferrers, judgeReferrers, loadVerificationKeys, type Remark } from "./index.ts";

const vector = (name: string): string =>
  fileURLToPath(new URL(`../../../test/vectors/sigstore/${name}`, import.meta.url));

async function judge(layout: string, keyFiles: readonly string[]): Promise<readonly Remark[]> {
  const keys = await loadVerificationKeys(keyFiles);
  await using source = await openImageSource(`oci:${layout}`);
  const [image] = await source.candidates();
  const subject = (image as { digest: Remark["digest"] }).digest;
  return await judgeReferrers(await findReferrers(source, subject), { subject, keys, composefs: () => undefined });
}

test("judgeReferrers() verifies what cosign 2.4.1 signed and attested", async () => {
  const remarks = await judge(vector("cosign-2.4.1"), [vector("cosign.pub")]);
  expect(
    remarks.map(({ fault, kind, signature, tag }) => ({
      fault,
      kind,
      status: signature.status,
      tag: tag?.split(".")[1],
    })),
  ).toEqual([
    { fault: undefined, kind: "signature", status: "good", tag: "sig" },
    { fault: undefined, kind: "provenance", status: "good", tag: "att" },
  ]);
});

test("judgeReferrers() verifies the bundles of cosign 3.0.2", async () => {
  const remarks = await judge(vector("cosign-3.0.2"), [vector("cosign.pub")]);
  expect(remarks.map(({ fault, kind, signature }) => ({ fault, kind, status: signature.status }))).toEqual([
    { fault: undefined, kind: "provenance", status: "good" },
    { fault: undefined, kind: "signature", status: "good" },
  ]);
});

test("judgeReferrers() says when no key was given", async () => {
  const remarks = await judge(vector("cosign-2.4.1"), []);
  expect(remarks.map(({ signature }) => signature.status)).toEqual(["unchecked", "unchecked"]);
});

test("loadVerificationKeys() refuses a file without a key", async () => {
  await using temp = await openTempDir();
  const { writeFile } = await import("node:fs/promises");
  await writeFile(`${temp.path}/x`, "nothing");
  expect(await codeOfAsync(() => loadVerificationKeys([`${temp.path}/x`]))).toBe("verify.key-unreadable");
  expect(await readFile(vector("cosign.pub"), "utf8")).toContain("PUBLIC KEY");
});
