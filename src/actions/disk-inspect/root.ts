import type { Ext4Volume } from "../../formats/ext4/index.ts";
import { findComposefsArguments } from "../../formats/uki/index.ts";
import { readDeployments } from "../../model/disk/deployments.ts";
import { META_SIZE_MAX, parseMeta } from "../../model/disk/meta.ts";
import { readRepository, readRootFile } from "../../model/disk/stored-repository.ts";
import type { OsProblem } from "../../model/os/index.ts";
import type { Attempt } from "./attempt.ts";
import type { DescribedEsp } from "./esp.ts";
import type { DeploymentReport, EntryReport, RepositoryReport } from "./report.ts";

export interface DescribedRepository {
  readonly report: RepositoryReport;
  readonly images: ReadonlyMap<string, string>;
  readonly problems: readonly OsProblem[];
}

export function describeRepository(volume: Ext4Volume, attempt: Attempt): DescribedRepository {
  const { images, meta, objects, problems, refs, streams } = readRepository(volume);
  const parsed = meta && attempt("meta.json", () => parseMeta(readRootFile(volume, meta, "meta.json", META_SIZE_MAX)));
  const inodes = [...objects.values()].map(({ inode }) => inode);
  const report = {
    ...(parsed ? { algorithm: parsed.algorithm, erofsFormat: parsed.defaultFormat } : {}),
    secure: meta?.isVerity ?? false,
    objects: {
      count: inodes.length,
      size: inodes.reduce((sum, { size }) => sum + size, 0),
      withoutVerity: inodes.filter(({ isVerity }) => !isVerity).length,
    },
    images: images.size,
    streams: streams.size,
    references: refs,
  };
  return { report, images, problems };
}

/** In the order of the menu; what no entry starts comes last. */
export function describeDeployments(
  volume: Ext4Volume,
  esp: DescribedEsp | null,
  images: ReadonlyMap<string, string>,
): DeploymentReport[] {
  const entries = esp?.report.entries ?? [];
  const digestsOf = (entry: EntryReport): readonly string[] => {
    const uki = esp?.report.ukis.find(({ path }) => path === entry.uki);
    return uki?.digests ?? digestsOn(entry.options ?? "");
  };
  const place = new Map<string, number>();
  const deployments = readDeployments(volume).map(({ hasEtc, id, origin, varTarget }) => {
    const starting = entries.filter((entry) => digestsOf(entry).includes(id));
    const [first] = starting;
    place.set(id, first === undefined ? entries.length : entries.indexOf(first));
    return {
      id,
      first: starting.some((entry) => entry.first),
      entries: starting.map(({ path }) => path),
      image: images.has(id),
      etc: hasEtc,
      ...(varTarget === undefined ? {} : { var: varTarget }),
      ...(origin === undefined ? {} : { origin }),
    };
  });
  return deployments.sort((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0));
}

/** Digests on the command line of an unsealed entry; one that cannot be read names none. */
function digestsOn(options: string): string[] {
  try {
    return findComposefsArguments(options).map(({ digestHex }) => digestHex);
  } catch {
    return [];
  }
}
