import { join } from "node:path";
import type { Context } from "./context.ts";
import { cacheDirectory } from "./directories.ts";
import { type RegistryFlags, registriesOf } from "./registries.ts";
import { sourceDateEpoch } from "./source-date-epoch.ts";

export interface DiskArgument extends AsyncDisposable {
  readonly path: string;
  /** Built for this command from an image, and gone when it ends. */
  readonly built: boolean;
}

/** What is meant as a file, so that one which is missing is not looked for in a registry. */
const DISK_NAME = /^\.{0,2}\/|\.(?:raw|img|qcow2)$/;

/** The disk that a command line names; from an image, which may be in a registry, one is built. */
export async function openDiskArgument(
  context: Context,
  argument: string,
  flags: RegistryFlags,
): Promise<DiskArgument> {
  const [{ exists }, { openTempDir }] = await Promise.all([
    import("../model/host-io/files.ts"),
    import("../model/host-io/temp.ts"),
  ]);
  if (DISK_NAME.test(argument) || (await exists(argument)))
    return { path: argument, built: false, [Symbol.asyncDispose]: () => Promise.resolve() };
  const { buildDisk } = await import("../actions/disk/build-disk.ts");
  await using cleanup = new AsyncDisposableStack();
  const directory = cleanup.use(await openTempDir("sealwright-disk"));
  const path = join(directory.path, "disk.raw");
  await buildDisk(argument, {
    output: path,
    registries: await registriesOf(context, flags),
    cacheDirectory: cacheDirectory(context.env),
    buildTime: sourceDateEpoch(context.env),
    signal: context.signal,
    progress: context.progress,
  });
  const kept = cleanup.move();
  return { path, built: true, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
