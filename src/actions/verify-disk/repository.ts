import { readVerityMetadata } from "../../formats/ext4/index.ts";
import { VERITY_ALGORITHMS, type VerityAlgorithm } from "../../formats/fsverity/index.ts";
import { FormatError, PolicyError, VerificationError } from "../../lib/errors.ts";
import { checkFile, checkRange, type RootVolume } from "../../model/disk/check-merkle.ts";
import { META_SIZE_MAX, parseMeta, type RepositoryMeta } from "../../model/disk/meta.ts";
import { readRepository, readRootFile, type StoredRepository } from "../../model/disk/stored-repository.ts";
import { countOf } from "../../model/verdict/describe.ts";
import { describeFault } from "./faults.ts";
import type { DiskVerdictBuilder } from "./verdict.ts";

export interface ProvedRepository extends StoredRepository {
  readonly algorithm: VerityAlgorithm | undefined;
}

/** Lists the repository and checks what it says about itself. */
export async function verifyRepository(
  verdict: DiskVerdictBuilder,
  root: RootVolume,
): Promise<ProvedRepository | undefined> {
  const repository = await verdict.check("repository", () => readRepository(root.volume), describeRepository);
  if (repository === undefined) return undefined;
  const meta = await verdict.check("repository", () => requireMeta(root, repository), describeMeta);
  for (const problem of repository.problems) verdict.warn("repository", problem);
  return { ...repository, algorithm: meta?.algorithm };
}

function requireMeta(root: RootVolume, { meta }: StoredRepository): RepositoryMeta {
  const { volume } = root;
  if (meta?.kind !== "file") {
    throw new VerificationError("disk.meta.missing", "meta.json: found none, expected one that asks for fs-verity");
  }
  if (!volume.hasVerity) {
    throw new PolicyError("disk.root.verity-feature", "root file system: found no verity feature, expected it", {
      hint: "tune2fs -O verity",
    });
  }
  const bytes = readRootFile(volume, meta, "meta.json", META_SIZE_MAX);
  if (!meta.isVerity) {
    throw new PolicyError(
      "disk.meta.verity-missing",
      "meta.json: found it without fs-verity, expected with: composefs-rs takes objects without it then",
    );
  }
  const algorithm = storedAlgorithm(readVerityMetadata(volume, meta).descriptor);
  const { fault, faultAt } = checkFile(root, meta, algorithm, [
    checkRange(root, meta, algorithm, 0, new Uint8Array(meta.size)),
  ]);
  if (fault !== undefined) {
    throw new VerificationError(`disk.meta.${fault}`, `meta.json: ${describeFault(fault, faultAt)}`);
  }
  return parseMeta(bytes);
}

/** Nothing names the digest of `meta.json`: its hash is whichever it was made with. */
function storedAlgorithm(descriptor: Uint8Array): VerityAlgorithm {
  const names = Object.keys(VERITY_ALGORITHMS) as VerityAlgorithm[];
  const algorithm = names.find((name) => VERITY_ALGORITHMS[name].id === descriptor[1]);
  if (algorithm !== undefined) return algorithm;
  throw new FormatError("disk.meta.descriptor-differs", {
    what: "meta.json: fs-verity descriptor: hash algorithm",
    expected: "1 or 2",
    found: String(descriptor[1]),
  });
}

function describeRepository({ images, objects, refs, streams }: StoredRepository): string {
  return [
    countOf(objects.size, "object"),
    countOf(images.size, "image"),
    countOf(streams.size, "stream"),
    countOf(refs.length, "reference"),
  ].join(", ");
}

function describeMeta({ algorithm, defaultFormat }: RepositoryMeta): string {
  return `meta.json: ${algorithm}, EROFS format ${defaultFormat}, fs-verity required`;
}
