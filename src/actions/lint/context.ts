/** What lints look at: an image or a directory, opened once; what several of them need is read once. */
import { listSignatures, type PeSignature } from "../../formats/authenticode/index.ts";
import { type Pe, parsePe, requireLoadable } from "../../formats/pe/index.ts";
import { findSection, findText, parseKargsToml, parseUki, type Uki } from "../../formats/uki/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { FormatError, SealwrightError } from "../../lib/errors.ts";
import { type OpenInitramfs, openInitramfs } from "../../model/initramfs/open-initramfs.ts";
import {
  type Architecture,
  type BootFile,
  findBootLoader,
  findKernel,
  findUkis,
  listKargsFiles,
  type OsFile,
} from "../../model/os/index.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import type { Tree } from "../../model/tree/tree.ts";

/** An EFI program of the image. What is wrong with it is a value here: other lints go on. */
export interface Program {
  readonly path: string;
  readonly kind: BootFile["kind"] | "boot-loader";
  readonly bytes: Uint8Array;
  readonly pe?: Pe;
  readonly uki?: Uki;
  /** Why it could not be read as what it is. */
  readonly problem?: FormatError;
  /** Readable signatures; nothing in them has been verified. */
  readonly signatures: readonly PeSignature[];
}

/** A parent directory that no layer declares before it has entries in it. */
export interface UndeclaredParent {
  readonly path: string;
  readonly layer: number;
}

export interface LintSettings {
  readonly source: TreeSource;
  readonly architecture: Architecture | undefined;
  readonly undeclaredParents: readonly UndeclaredParent[];
  /** Given by the user, to be looked at for their validity. */
  readonly certificates: readonly Certificate[];
  readonly now: Date;
  /** The same source, with other fs-verity digests of its files. */
  readonly reopen: (algorithm: "sha256") => Promise<TreeSource>;
  readonly signal?: AbortSignal | undefined;
}

export class LintContext {
  readonly settings: LintSettings;
  /** Merged and not transformed. Not to be changed. */
  readonly tree: Tree;
  #programs: Promise<readonly Program[]> | undefined;
  #initramfs: Promise<OpenInitramfs | undefined> | undefined;
  readonly #bytes = new Map<string, Promise<Uint8Array>>();

  constructor(settings: LintSettings) {
    this.settings = settings;
    this.tree = settings.source.tree;
  }

  read({ content, path }: OsFile): Promise<Uint8Array> {
    const known = this.#bytes.get(path);
    if (known !== undefined) return known;
    const reading = this.settings.source.read([content]).then(([bytes]) => bytes as Uint8Array);
    this.#bytes.set(path, reading);
    return reading;
  }

  async readText(file: OsFile): Promise<string> {
    return Buffer.from(await this.read(file)).toString("utf8");
  }

  /** UKIs and addons, in the order of installers, then systemd-boot. */
  programs(): Promise<readonly Program[]> {
    this.#programs ??= this.#readPrograms();
    return this.#programs;
  }

  /** The UKI that installers take; undefined without one, or when it cannot be read. */
  async uki(): Promise<Uki | undefined> {
    return (await this.programs()).find(({ kind }) => kind === "uki")?.uki;
  }

  /** That of the UKI with all its profiles, or without a UKI what kargs.d gives for one. */
  async commandLine(): Promise<string> {
    const uki = await this.uki();
    if (uki === undefined) return (await this.kargs()).join(" ");
    const count = Math.max(1, uki.profiles.length);
    return Array.from({ length: count }, (_, profile) => findText(uki, ".cmdline", profile) ?? "").join(" ");
  }

  /** Kernel parameters of kargs.d for the architecture of the image. */
  async kargs(): Promise<string[]> {
    const kernel = this.settings.architecture?.kernel ?? "";
    const files = listKargsFiles(this.tree).map(async (file) =>
      parseKargsToml(await this.read(file), kernel, file.path),
    );
    return (await Promise.all(files)).flat();
  }

  /** Of the UKI, or beside the kernel. */
  initramfs(): Promise<OpenInitramfs | undefined> {
    this.#initramfs ??= this.#openInitramfs();
    return this.#initramfs;
  }

  async #openInitramfs(): Promise<OpenInitramfs | undefined> {
    const uki = await this.uki();
    const { kernel } = findKernel(this.tree);
    const raw = kernel === undefined || kernel.unified ? undefined : kernel.initramfs;
    const bytes = uki !== undefined ? findSection(uki, ".initrd") : raw && (await this.read(raw));
    return bytes === undefined ? undefined : await openInitramfs(bytes, { signal: this.settings.signal });
  }

  async #readPrograms(): Promise<readonly Program[]> {
    const { architecture } = this.settings;
    const loader = architecture === undefined ? undefined : findBootLoader(this.tree, architecture).systemdBoot;
    const files = [
      ...findUkis(this.tree),
      ...(loader === undefined ? [] : [{ ...loader, kind: "boot-loader" as const }]),
    ];
    return await Promise.all(files.map(async (file) => readProgram(file.path, file.kind, await this.read(file))));
  }
}

/** Reads as much of it as can be read; the first refusal is the problem. */
function readProgram(path: string, kind: Program["kind"], bytes: Uint8Array): Program {
  let problem: FormatError | undefined;
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      problem ??= error;
      return undefined;
    }
  };
  const pe = attempt(() => parsePe(bytes));
  if (pe !== undefined) attempt(() => requireLoadable(pe));
  const uki = pe === undefined || kind === "boot-loader" ? undefined : attempt(() => parseUki(bytes));
  const listed = pe === undefined ? undefined : attempt(() => listSignatures(pe));
  return {
    path,
    kind,
    bytes,
    signatures: (listed ?? []).filter((signature) => signature.kind === "authenticode"),
    ...(pe === undefined ? {} : { pe }),
    ...(uki === undefined ? {} : { uki }),
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Whether something thrown is a refusal that a lint may report. */
export const isRefusal = (error: unknown): error is SealwrightError =>
  error instanceof SealwrightError && error.code !== "interrupted";
