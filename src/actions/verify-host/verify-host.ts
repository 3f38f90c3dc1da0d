/** Verifies the machine we run on, link by link, from inside: nothing is mounted, nothing is written. */
import type { Certificate } from "../../formats/x509/index.ts";
import type { Progress } from "../../lib/progress.ts";
import { findBootedRoot, loadCommandLine, loadMounts, openHostEsp } from "../../model/host/index.ts";
import { type MeasureVerity, measureVerity } from "../../model/host-io/measure-verity.ts";
import { loadCertificates } from "../../model/signing/load-certificates.ts";
import { checkValidity } from "../../model/verdict/check-validity.ts";
import { VerdictBuilder } from "../../model/verdict/verdict.ts";
import { verifyCommandLine } from "./command-line.ts";
import { verifyEventLog } from "./event-log.ts";
import { verifyKeys, verifySecureBoot } from "./firmware.ts";
import { readPrograms, verifyBootLoaders, verifyUki } from "./programs.ts";
import { verifyImage, verifyRoot, verifyUsr } from "./root.ts";
import { verifyDeployment, verifyState } from "./state.ts";
import { HOST_LINKS, type HostVerdict } from "./verdict.ts";

export interface VerifyHostOptions {
  /** Files with certificates to verify against, PEM or DER. Without any it is the firmware's own db. */
  readonly certificates: readonly string[];
  /** Accept `composefs=?`. */
  readonly allowMissingVerity?: boolean;
  /** For the validity of the certificates, which firmware does not look at. */
  readonly now: Date;
  /** Where the machine's files are seen. Default `/`. */
  readonly root?: string;
  readonly measure?: MeasureVerity;
  readonly progress?: Progress | undefined;
}

/**
 * Follows the chain from the firmware's keys to the mounted root, as the machine itself tells it.
 *
 * What runs here could lie about everything. The verdict finds what is misconfigured; a proof to others takes a quote of
 * the TPM.
 *
 * @returns what holds and what does not; a broken link hides none of those that can be checked without it
 * @throws {NotFoundError} `host.no-proc`
 * @throws as `loadCertificates`
 */
export async function verifyHost(options: VerifyHostOptions): Promise<HostVerdict> {
  const { measure = measureVerity, root = "/" } = options;
  const certificates = await loadCertificates(options.certificates);
  const verdict = new VerdictBuilder(HOST_LINKS);
  const mounts = await loadMounts(root);
  const commandLine = await loadCommandLine(root);
  const booted = findBootedRoot(mounts);

  await verifySecureBoot(verdict, root);
  const policy = await verifyKeys(verdict, root, certificates);
  for (const certificate of trusted(policy?.db.certificates)) checkValidity(verdict, certificate, options.now);

  const given = await verifyCommandLine(verdict, commandLine, options);
  const digest = booted?.digestHex ?? given?.[0].digestHex;
  using esp = await verdict.check(
    "esp",
    () => openHostEsp(root, mounts),
    ({ files, place }) => `${place}, ${files.length} files`,
  );
  if (esp !== undefined && policy !== undefined) {
    const programs = await readPrograms(esp, policy, digest);
    verifyBootLoaders(verdict, programs);
    const uki = await verifyUki(verdict, programs, commandLine);
    await verifyEventLog(verdict, root, programs, uki);
  }

  await verifyRoot(verdict, booted, given);
  await verifyUsr(verdict, mounts, booted);
  if (digest !== undefined) {
    await verifyImage(verdict, root, digest, measure);
    await verifyDeployment(verdict, root, digest);
    await verifyState(verdict, mounts, digest);
  }
  return { ...(digest === undefined ? {} : { digest }), ...verdict.finish() };
}

/** A db may hold the same certificate twice. */
const trusted = (certificates: readonly Certificate[] = []): readonly Certificate[] => [
  ...new Map(certificates.map((each) => [Buffer.from(each.fingerprint).toString("hex"), each])).values(),
];
