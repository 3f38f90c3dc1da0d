/** Looks for mistakes in an image: those that bootc looks for, and those that break a seal. */
import { UsageError } from "../../lib/errors.ts";
import type { Progress } from "../../lib/progress.ts";
import { hostPlatform } from "../../model/image/host-platform.ts";
import { findArchitecture } from "../../model/os/index.ts";
import type { Registries } from "../../model/registry/index.ts";
import { loadCertificates } from "../../model/signing/load-certificates.ts";
import { openTreeSource, type SourceOptions } from "../../model/source/tree-source.ts";
import { isRefusal, LintContext, type UndeclaredParent } from "./context.ts";
import type { Finding, Lint, LintLevel, RootType } from "./lint.ts";
import { LINTS } from "./lints.ts";

export interface LintOptions {
  /** Names of lints to leave out; others are passed over. */
  readonly skip?: readonly string[];
  /** Warnings fail too. */
  readonly fatalWarnings?: boolean;
  /** Files with certificates whose validity is looked at. */
  readonly certificates?: readonly string[];
  readonly now: Date;
  readonly platform?: string | undefined;
  readonly cacheDirectory?: string | undefined;
  /** Needed for images in registries. */
  readonly registries?: Registries | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

export interface LintFinding extends Finding {
  /** Of the lint. */
  readonly name: string;
  readonly level: LintLevel;
}

export interface LintReport {
  readonly source: string;
  readonly rootType: RootType;
  /** Lints without finding. */
  readonly passed: number;
  /** Lints left out on request, and those for the other type of root. */
  readonly skipped: number;
  readonly warnings: number;
  /** Findings that fail the image: fatal ones, and warnings where they are to fail. */
  readonly failed: number;
  readonly findings: readonly LintFinding[];
}

/** @throws {UsageError} `lint.no-contents` for a dumpfile or a composefs image; what opening the source throws */
export async function lintImage(reference: string, options: LintOptions): Promise<LintReport> {
  const { fatalWarnings = false, now, skip = [] } = options;
  const certificates = await loadCertificates(options.certificates ?? []);
  const undeclaredParents: UndeclaredParent[] = [];
  const reading: SourceOptions = {
    ...options,
    algorithms: ["sha512"],
    apply: {
      missingParents: "invent",
      onInvented: (path, layer) => undeclaredParents.push({ path: `/${path}`, layer }),
    },
  };
  await using source = await openTreeSource(reference, reading);
  if (source.kind === "dump" || source.kind === "erofs") {
    throw new UsageError("lint.no-contents", `${reference}: there are no file contents in it to look into`);
  }
  const rootType = /^dir:\/+$/.test(reference) ? "running" : "alternative";
  const context = new LintContext({
    source,
    architecture: findArchitecture(source.image?.config.architecture ?? hostPlatform().architecture),
    undeclaredParents,
    certificates,
    now,
    reopen: (algorithm) => openTreeSource(reference, { ...reading, algorithms: [algorithm] }),
    signal: options.signal,
  });

  const lints = LINTS.filter(
    (lint) => !skip.includes(lint.name) && (lint.rootType === undefined || lint.rootType === rootType),
  );
  const findings: LintFinding[] = [];
  for (const lint of lints) {
    const finding = await run(lint, context);
    if (finding !== undefined) findings.push({ name: lint.name, level: lint.level, ...finding });
  }
  const warnings = findings.filter(({ level }) => level === "warning").length;
  return {
    source: reference,
    rootType,
    passed: lints.length - findings.length,
    skipped: LINTS.length - lints.length,
    warnings,
    failed: findings.length - (fatalWarnings ? 0 : warnings),
    findings,
  };
}

/** What a lint stumbles over is what it found. */
async function run(lint: Lint, context: LintContext): Promise<Finding | undefined> {
  try {
    return await lint.check(context);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { code: error.code, message: error.message };
  }
}
