import { PolicyError, VerificationError } from "../../lib/errors.ts";
import { type BootedRoot, findMount, hostImagePath, isBelow, isReadOnly, type Mount } from "../../model/host/index.ts";
import type { MeasureVerity } from "../../model/host-io/measure-verity.ts";
import type { SealArguments } from "../../model/os/index.ts";
import type { HostVerdictBuilder } from "./verdict.ts";

/** The root is the tree that the command line names, and every read of it is checked. */
export async function verifyRoot(
  verdict: HostVerdictBuilder,
  booted: BootedRoot | undefined,
  given: SealArguments | undefined,
): Promise<void> {
  const root = await verdict.check(
    "root",
    () => requireRoot(booted, given),
    ({ digestHex = "", transient }) =>
      `overlay of ${digestHex.slice(0, 16)}...${transient ? " below a layer in memory" : ", verity=require, read-only"}`,
  );
  if (root?.transient === true) {
    const message = "a writable layer in memory lies over the tree: how the tree is mounted below it cannot be seen";
    verdict.warn("root", { code: "host.root.transient", message });
  }
}

function requireRoot(booted: BootedRoot | undefined, given: SealArguments | undefined): BootedRoot {
  if (booted?.digestHex === undefined) {
    const found = booted === undefined ? "nothing" : `${booted.mount.type} ${booted.mount.source}`;
    const message = `/: found ${found}, expected an overlay composefs:<digest>`;
    throw new VerificationError("host.root.not-composed", message, {
      hint: "this is no sealed system, or a command that runs in a container of one",
    });
  }
  const digests = given?.map(({ digestHex }) => digestHex);
  if (digests !== undefined && !digests.includes(booted.digestHex)) {
    const message = `/: found the tree ${booted.digestHex}, expected ${digests.join(" or ")}, as the command line says`;
    throw new VerificationError("host.root.other-digest", message, { data: { found: booted.digestHex, digests } });
  }
  if (booted.transient) return booted;
  if (!booted.verityRequired) {
    const message = "/: found an overlay without verity=require: files that were changed are read as they are";
    throw new VerificationError("host.root.verity-optional", message, { data: { options: booted.mount.superOptions } });
  }
  if (!isReadOnly(booted.mount))
    throw new PolicyError("host.root.writable", "/: found it writable, expected read-only");
  return booted;
}

/** The kernel's own measurement of the EROFS image is the digest. */
export async function verifyImage(
  verdict: HostVerdictBuilder,
  root: string,
  digestHex: string,
  measure: MeasureVerity,
): Promise<void> {
  await verdict.check(
    "image",
    () => requireMeasured(hostImagePath(root, digestHex), digestHex, measure),
    (algorithm) => `the kernel measures ${algorithm} ${digestHex.slice(0, 16)}...`,
  );
}

async function requireMeasured(path: string, digestHex: string, measure: MeasureVerity): Promise<string> {
  const found = await measure(path);
  if (found === undefined) {
    const message = `/sysroot/composefs/images/${digestHex.slice(0, 16)}...: found no fs-verity, expected it`;
    throw new VerificationError("host.image.no-verity", message);
  }
  if (found.digestHex === digestHex) return found.algorithm;
  const message = `the kernel measures ${found.algorithm} ${found.digestHex}, expected ${digestHex}`;
  throw new VerificationError("host.image.digest-differs", message, { data: { found: found.digestHex, digestHex } });
}

/** Nothing lies over `/usr`, and nobody can write to it. */
export async function verifyUsr(
  verdict: HostVerdictBuilder,
  mounts: readonly Mount[],
  booted: BootedRoot | undefined,
): Promise<void> {
  if (booted?.digestHex === undefined) return;
  await verdict.check(
    "usr",
    () => requireUsr(mounts, booted),
    () => (booted.transient ? "of the tree, below a layer in memory" : "of the tree, read-only"),
  );
}

function requireUsr(mounts: readonly Mount[], { mount: root, transient }: BootedRoot): void {
  // The link /usr/local leads to /var: what is mounted there is not below /usr.
  const places = mounts.map(({ mountPoint }) => mountPoint).filter((place) => isBelow(place, "/usr"));
  const cover = ["/usr", ...places].map((place) => findMount(mounts, place)).find((mount) => mount?.id !== root.id);
  if (cover !== undefined) {
    const { mountPoint, source, type } = cover;
    const message = `${mountPoint}: found ${type} ${source} over the tree, expected nothing`;
    throw new PolicyError("host.usr.covered", message, {
      data: { mountPoint, type, source },
      hint: "system extensions and bootc usr-overlay do that; what they add is not part of the seal",
    });
  }
  if (!transient && !isReadOnly(root)) throw new PolicyError("host.usr.writable", "/usr: found it writable");
}
