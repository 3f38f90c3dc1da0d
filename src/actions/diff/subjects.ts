/** The files of both sides whose contents matter to a comparison, and their bytes where they differ. */
import { parseUki, type Uki } from "../../formats/uki/index.ts";
import {
  type BootFile,
  findKernel,
  findOsRelease,
  findUkis,
  listKargsFiles,
  type OsFile,
  type RawKernel,
  type UkiKernel,
} from "../../model/os/index.ts";
import { findPackageDatabases, type PackageDatabase } from "../../model/packages/index.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import type { Content } from "../../model/tree/tree.ts";
import type { Notes } from "./notes.ts";

export interface Subjects {
  readonly kernel: UkiKernel | RawKernel | undefined;
  readonly osRelease: readonly OsFile[];
  readonly kargs: readonly OsFile[];
  readonly ukis: readonly BootFile[];
  /** Beside a kernel that is in no UKI. */
  readonly initramfs: readonly OsFile[];
  readonly databases: readonly PackageDatabase[];
}

type Role = Exclude<keyof Subjects, "kernel">;

const ROLES: Readonly<Record<Role, string>> = {
  osRelease: "the OS release",
  kargs: "kernel arguments",
  ukis: "UKIs",
  initramfs: "the initramfs",
  databases: "packages",
};

/** Looks before the transforms: afterwards /boot is empty. */
export function findSubjects({ tree }: TreeSource): Subjects {
  const { kernel } = findKernel(tree);
  const osRelease = findOsRelease(tree);
  return {
    kernel,
    osRelease: osRelease === undefined ? [] : [osRelease],
    kargs: listKargsFiles(tree),
    ukis: findUkis(tree),
    initramfs: kernel?.unified === false && kernel.initramfs !== undefined ? [kernel.initramfs] : [],
    databases: findPackageDatabases(tree),
  };
}

/** One side with the contents that were read. */
export class Side {
  readonly source: TreeSource;
  readonly subjects: Subjects;
  readonly #bytes: ReadonlyMap<Content, Uint8Array>;
  readonly #ukis = new Map<Content, Uki>();

  constructor(source: TreeSource, subjects: Subjects, bytes: ReadonlyMap<Content, Uint8Array>) {
    this.source = source;
    this.subjects = subjects;
    this.#bytes = bytes;
  }

  /** Of a file of a role that differs. */
  bytesOf(file: OsFile): Uint8Array {
    const bytes = this.#bytes.get(file.content);
    if (bytes === undefined) throw new TypeError(`${file.path} was not read`);
    return bytes;
  }

  /** What the OS says about itself, where it can be read. */
  get osRelease(): Uint8Array | undefined {
    const [file] = this.subjects.osRelease;
    return file && this.#bytes.get(file.content);
  }

  /** @throws as `parseUki` */
  ukiOf(file: OsFile): Uki {
    const known = this.#ukis.get(file.content);
    if (known !== undefined) return known;
    const uki = parseUki(this.bytesOf(file));
    this.#ukis.set(file.content, uki);
    return uki;
  }
}

export interface Sides {
  readonly a: Side;
  readonly b: Side;
  /** Roles that differ and could be read. */
  readonly differ: ReadonlySet<Role>;
}

/**
 * Reads what differs, one pass over each layer involved; what is the same on both sides is not read, but for the OS
 * release, of which one is enough.
 */
export async function loadSides(
  a: TreeSource,
  b: TreeSource,
  isSame: (a: Content, b: Content) => boolean,
  notes: Notes,
): Promise<Sides> {
  const [before, after] = [findSubjects(a), findSubjects(b)];
  const differ = new Set<Role>();
  const same = new Set<Role>();
  const wanted = { a: new Set<Content>(), b: new Set<Content>() };
  for (const role of Object.keys(ROLES) as Role[]) {
    const [left, right] = [before[role], after[role]];
    // The initramfs of one side may be in a UKI, that of the other beside the kernel.
    const isNeeded = role === "initramfs" && differ.has("ukis");
    if (!isNeeded && isSameList(left, right, isSame)) {
      same.add(role);
      continue;
    }
    const missing = [left, right].findIndex((files) => !files.every(({ content }) => isReadable(content)));
    if (missing !== -1) {
      const { name } = missing === 0 ? a : b;
      const message = `${name} has no contents of files: ${ROLES[role]} differ, but how cannot be told`;
      notes.add("diff.contents-missing", message);
      continue;
    }
    differ.add(role);
    for (const { content } of left) wanted.a.add(content);
    for (const { content } of right) wanted.b.add(content);
  }
  const twins = same.has("osRelease") ? [...after.osRelease, ...before.osRelease].map(({ content }) => content) : [];
  const lender = twins.find(isReadable);
  if (lender !== undefined) (lender === before.osRelease[0]?.content ? wanted.a : wanted.b).add(lender);

  const bytes = new Map((await Promise.all([readAll(a, wanted.a), readAll(b, wanted.b)])).flat());
  const lent = lender === undefined ? undefined : bytes.get(lender);
  if (lent !== undefined) for (const twin of twins) bytes.set(twin, lent);
  return { a: new Side(a, before, bytes), b: new Side(b, after, bytes), differ };
}

const isReadable = (content: Content): boolean =>
  content.kind === "inline" || (content.kind === "external" && content.origin !== undefined);

function isSameList(a: readonly OsFile[], b: readonly OsFile[], isSame: (a: Content, b: Content) => boolean): boolean {
  return (
    a.length === b.length &&
    a.every(({ content, path }, index) => path === b[index]?.path && isSame(content, b[index].content))
  );
}

async function readAll(source: TreeSource, contents: ReadonlySet<Content>): Promise<[Content, Uint8Array][]> {
  const wanted = [...contents];
  const bytes = await source.read(wanted);
  return wanted.map((content, index) => [content, bytes[index] as Uint8Array]);
}
