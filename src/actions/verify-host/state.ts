import { VerificationError } from "../../lib/errors.ts";
import { findMount, type HostDeployment, isReadOnly, loadDeployment, type Mount } from "../../model/host/index.ts";
import type { HostVerdictBuilder } from "./verdict.ts";

/** The deployment of the tree that runs is the one whose state it uses. No signature covers what is in it. */
export async function verifyDeployment(verdict: HostVerdictBuilder, root: string, digestHex: string): Promise<void> {
  const place = `/sysroot/state/deploy/${digestHex.slice(0, 16)}...`;
  const deployment = await verdict.check(
    "deployment",
    async () => requireDeployment(await loadDeployment(root, digestHex), place),
    ({ origin }) => `${place}${origin?.image === undefined ? "" : ` of ${origin.image}`}`,
  );
  if (deployment !== undefined && deployment.origin?.manifestDigest === undefined) {
    const message = `${place}: no origin with a manifest digest: nothing says which image it came from`;
    verdict.warn("deployment", { code: "host.deployment.origin-missing", message });
  }
}

function requireDeployment(deployment: HostDeployment | undefined, place: string): HostDeployment {
  const missing =
    deployment === undefined
      ? "no directory"
      : !deployment.hasEtc
        ? "no etc in it"
        : deployment.varTarget === undefined
          ? "no link var in it"
          : undefined;
  if (deployment !== undefined && missing === undefined) return deployment;
  throw new VerificationError("host.deployment.missing", `${place}: found ${missing}, expected the state of what runs`);
}

/** `/etc` and `/var` are those of this deployment; whether they can be written to is the image's policy. */
export async function verifyState(
  verdict: HostVerdictBuilder,
  mounts: readonly Mount[],
  digestHex: string,
): Promise<void> {
  const places = ["/etc", "/var"].map((place) => ({ place, mount: findMount(mounts, place) }));
  const shown = await verdict.check(
    "state",
    () => places.map(({ mount, place }) => `${place} ${describe(mount, place, digestHex)}`).join(", "),
    (text) => text,
  );
  if (shown === undefined) return;
  for (const { mount, place } of places) {
    if (mount === undefined || !isReadOnly(mount)) continue;
    verdict.warn("state", { code: "host.state.read-only", message: `${place} cannot be written to` });
  }
}

function describe(mount: Mount | undefined, place: string, digestHex: string): string {
  if (mount?.mountPoint !== place) return "of the tree";
  const [, other] = /\/state\/deploy\/([0-9a-f]{64,128})\/etc$/.exec(mount.subtree) ?? [];
  if (other !== undefined && other !== digestHex) {
    const message = `${place}: found that of the deployment ${other.slice(0, 16)}..., expected that of what runs`;
    throw new VerificationError("host.state.other-deployment", message, {
      data: { found: other, expected: digestHex },
    });
  }
  if (mount.source === "transient") return "in memory";
  return isReadOnly(mount) ? "read-only" : "writable";
}
