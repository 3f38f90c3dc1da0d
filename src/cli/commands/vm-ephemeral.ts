import { buildCommand, buildRouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import { machinePlaces } from "../directories.ts";
import { openDiskArgument } from "../disk-argument.ts";
import { numberFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registryFlags } from "../registries.ts";
import {
  acceleratorOf,
  cpusFlag,
  diskOrImage,
  emulateFlag,
  keysFlag,
  memoryFlag,
  publishFlag,
  toMs,
  tpmFlag,
} from "./vm-flags.ts";

interface Flags extends RegistryFlags {
  readonly keys?: string;
  readonly memory?: number;
  readonly cpus?: number;
  readonly publish?: ReturnType<typeof publishFlag.parse>[];
  readonly timeout?: number;
  readonly tpm: boolean;
  readonly emulate: boolean;
}

const runSshCommand = buildCommand<Flags, string[], Context>({
  async func(flags, argument = "", ...command) {
    const { cpus, emulate, keys, memory, publish, timeout, tpm } = flags;
    await perform(this, false, async () => {
      const { runEphemeral } = await import("../../actions/machine/run-ephemeral.ts");
      await using disk = await openDiskArgument(this, argument, flags);
      const exitCode = await runEphemeral(disk.path, {
        places: machinePlaces(this.env),
        command,
        keys,
        memory,
        cpus,
        publish,
        tpm,
        timeoutMs: toMs(timeout),
        accelerator: acceleratorOf(emulate),
        signal: this.signal,
        progress: this.progress,
      });
      return { text: "", json: null, exitCode };
    });
  },
  parameters: {
    positional: {
      kind: "array",
      parameter: { ...diskOrImage, brief: `${diskOrImage.brief}; then a command with its arguments` },
      minimum: 1,
    },
    flags: {
      keys: keysFlag,
      memory: memoryFlag,
      cpus: cpusFlag,
      publish: publishFlag,
      timeout: numberFlag("S", "Seconds until the guest has to let us in (default: 300)"),
      tpm: tpmFlag,
      emulate: emulateFlag,
      ...registryFlags,
    },
    aliases: { p: "publish" },
  },
  docs: {
    brief: "Boot a disk or an image, open a shell in it, and leave nothing behind",
    fullDescription: [
      "The guest needs an SSH server and systemd 256 or newer. It gets a key made for this machine through SMBIOS; the",
      "disk is left as it is. The exit status is that of the command.",
      "",
      "EXAMPLES",
      "  sealwright vm ephemeral run-ssh oci:./sealed --keys keys",
      "  sealwright vm ephemeral run-ssh os.raw --keys keys -- findmnt /",
    ].join("\n"),
  },
});

export const vmEphemeralRoutes = buildRouteMap<"run-ssh", Context>({
  routes: { "run-ssh": runSshCommand },
  docs: { brief: "Virtual machines that live as long as one shell" },
});
