import { type Ext4Volume, findInode } from "../../formats/ext4/index.ts";
import { byteString } from "../../lib/bytes/byte-string.ts";
import { VerificationError } from "../../lib/errors.ts";
import { readDeployments, type StoredDeployment } from "../../model/disk/deployments.ts";
import { ROOT } from "../../model/disk/layout.ts";
import { countOf } from "../../model/verdict/describe.ts";
import type { ProvedUki } from "./ukis.ts";
import type { DiskVerdictBuilder } from "./verdict.ts";

/**
 * What a deployment needs beside its tree. No signature covers it: the owner of the machine writes there.
 *
 * @param started digests that entries start, proved or not
 */
export async function verifyState(
  verdict: DiskVerdictBuilder,
  volume: Ext4Volume,
  ukis: readonly ProvedUki[],
  started: ReadonlySet<string>,
): Promise<void> {
  const stored = await verdict.check(
    "state",
    () => listDeployments(volume),
    (found) => countOf(found.length, "deployment"),
  );
  if (stored === undefined) return;
  for (const { arguments: given, bootDigest, path } of ukis) {
    const deployment = stored.find(({ id }) => given.some(({ digestHex }) => digestHex === id));
    const proved = await verdict.check(
      "state",
      () => requireState(deployment, given[0].digestHex, path),
      ({ id, origin }) =>
        `${ROOT.deployment(`${id.slice(0, 16)}...`)}: etc and var${origin?.image ? ` of ${origin.image}` : ""}`,
    );
    if (proved !== undefined) warnOfOrigin(verdict, proved, bootDigest);
  }
  for (const { id } of stored.filter((one) => !started.has(one.id))) {
    const message = `/${ROOT.deployment(id)}: no boot entry starts it`;
    verdict.warn("state", { code: "disk.state.unreferenced", message });
  }
}

function listDeployments(volume: Ext4Volume): StoredDeployment[] {
  if (findInode(volume, byteString(ROOT.var))?.kind !== "directory") {
    throw new VerificationError("disk.state.missing", `/${ROOT.var}: found no directory, expected one`);
  }
  return readDeployments(volume);
}

function requireState(deployment: StoredDeployment | undefined, id: string, uki: string): StoredDeployment {
  const { target } = ROOT.varLink(id);
  const missing =
    deployment === undefined
      ? "no directory"
      : !deployment.hasEtc
        ? "no etc in it"
        : deployment.varTarget !== target
          ? `no link var to ${target} in it`
          : undefined;
  if (deployment !== undefined && missing === undefined) return deployment;
  const message = `/${ROOT.deployment(id)}: found ${missing}, expected the state of what ${uki} boots`;
  throw new VerificationError("disk.state.missing", message, { data: { deployment: id } });
}

/** A host boots without it; `bootc` cannot say what it runs, or collects its image. */
function warnOfOrigin(verdict: DiskVerdictBuilder, { id, origin }: StoredDeployment, bootDigest: string): void {
  const place = `/${ROOT.origin(id)}`;
  if (origin?.manifestDigest === undefined) {
    const found = origin === undefined ? "no file" : "no manifest digest";
    const message = `${place}: found ${found}, without which garbage collection removes what the host came from`;
    verdict.warn("state", { code: "disk.state.origin-missing", message });
    return;
  }
  if (origin.bootDigest !== bootDigest) {
    const message = `${place}: found boot digest ${origin.bootDigest ?? "<none>"}, expected ${bootDigest}, that of the UKI`;
    verdict.warn("state", { code: "disk.state.boot-digest-differs", message });
  }
}
