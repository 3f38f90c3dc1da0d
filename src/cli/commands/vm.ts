import { buildCommand, buildRouteMap } from "@stricli/core";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { machinePlaces, stateDirectory } from "../directories.ts";
import { openDiskArgument } from "../disk-argument.ts";
import { jsonFlag, numberFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registryFlags } from "../registries.ts";
import { vmEphemeralRoutes } from "./vm-ephemeral.ts";
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
import { vmTestCommand } from "./vm-test.ts";

const nameArgument = {
  kind: "tuple",
  parameters: [{ brief: "Name of the machine", parse: String, placeholder: "NAME" }],
} as const;

interface RunFlags extends RegistryFlags {
  readonly keys?: string;
  readonly name?: string;
  readonly memory?: number;
  readonly cpus?: number;
  readonly publish?: ReturnType<typeof publishFlag.parse>[];
  readonly timeout?: number;
  readonly snapshot: boolean;
  readonly sshWait: boolean;
  readonly detach: boolean;
  readonly console: boolean;
  readonly tpm: boolean;
  readonly emulate: boolean;
  readonly libvirtXml: boolean;
  readonly store?: string;
  readonly json: boolean;
}

const runCommand = buildCommand<RunFlags, [string], Context>({
  async func(flags, argument) {
    await perform(this, flags.json, async () => {
      const { keys, name, memory, cpus, store } = flags;
      const places = machinePlaces(this.env);
      await using disk = await openDiskArgument(this, argument, flags);
      if (disk.built && (flags.detach || name !== undefined || flags.libvirtXml)) {
        throw new UsageError("machine.disk.not-kept", "a machine that is kept needs a disk that is kept", {
          hint: `sealwright disk build ${argument} -o disk.raw`,
        });
      }
      if (flags.libvirtXml) {
        const { libvirtDomain } = await import("../../actions/machine/libvirt-domain.ts");
        const xml = await libvirtDomain(disk.path, { config: places.config, name, memory, cpus, store });
        return { text: xml, json: { xml } };
      }
      const { runMachine } = await import("../../actions/machine/run-machine.ts");
      const report = await runMachine(disk.path, {
        places,
        name,
        keys,
        memory,
        cpus,
        publish: flags.publish,
        timeoutMs: toMs(flags.timeout),
        snapshot: flags.snapshot,
        tpm: flags.tpm,
        sshWait: flags.sshWait,
        detach: flags.detach,
        console: flags.console,
        accelerator: acceleratorOf(flags.emulate),
        signal: this.signal,
        progress: this.progress,
        // With --json standard output has one document.
        onSerial: (chunk) => (flags.json ? this.process.stderr : this.process.stdout).write(decode(chunk)),
      });
      const ssh = report.sshPort === undefined ? "" : `, SSH on port ${report.sshPort} of 127.0.0.1`;
      const text = report.running
        ? `${report.name} runs${ssh}\nsealwright vm ssh ${report.name}   sealwright vm stop ${report.name}`
        : `${report.name} ended`;
      return { text, json: report };
    });
  },
  parameters: {
    positional: { kind: "tuple", parameters: [diskOrImage] },
    flags: {
      keys: keysFlag,
      name: textFlag("NAME", "Name of the machine, which then keeps its variable store and TPM"),
      memory: memoryFlag,
      cpus: cpusFlag,
      publish: publishFlag,
      snapshot: switchFlag("Leave the disk as it is; what the guest writes is lost at the end"),
      sshWait: switchFlag("Wait until the guest's SSH lets us in"),
      detach: switchFlag("Leave the machine running and return"),
      console: switchFlag("Connect this terminal to the serial console; Ctrl-a x ends the machine"),
      timeout: numberFlag(
        "S",
        "Seconds until it has to end, or with --ssh-wait to let us in (default: 300 to let us in)",
      ),
      tpm: tpmFlag,
      emulate: emulateFlag,
      libvirtXml: switchFlag("Start nothing; print a libvirt domain for this disk"),
      store: textFlag("FILE", "Variable store with keys enrolled, for --libvirt-xml"),
      ...registryFlags,
      json: jsonFlag,
    },
    aliases: { p: "publish" },
  },
  docs: {
    brief: "Run a disk in a virtual machine, under Secure Boot with keys of your own",
    fullDescription: [
      "Every machine has a variable store, a TPM, sockets and a port of its own. KVM is used when the firmware was seen",
      "to start under it, software emulation otherwise. The guest's root user can be reached with `vm ssh` when the",
      "guest has an SSH server: a key made for this machine goes in through SMBIOS, the disk is not touched.",
      "",
      "Without --detach the serial console is shown until the guest switches itself off; Ctrl-C ends the machine.",
      "A boot that is refused ends with the reason, and so does one that takes longer than --timeout, with the last lines",
      "of the console. From an image a disk is built, which is gone at the end.",
      "",
      "EXAMPLES",
      "  sealwright vm run os.raw --keys keys --snapshot",
      "  sealwright vm run oci:./sealed --keys keys",
      "  sealwright vm run os.qcow2 --keys keys --name web --detach --ssh-wait -p 8080:80",
      "  sealwright vm run os.raw --libvirt-xml --store vars.fd > domain.xml",
    ].join("\n"),
  },
});

const listCommand = buildCommand<{ readonly json: boolean }, [], Context>({
  async func(flags) {
    await perform(this, flags.json, async () => {
      const [{ listAll }, { showMachines }] = await Promise.all([
        import("../../actions/machine/manage.ts"),
        import("../show/vm.ts"),
      ]);
      return showMachines(await listAll(stateDirectory(this.env)));
    });
  },
  parameters: { flags: { json: jsonFlag } },
  docs: { brief: "List virtual machines" },
});

const stopCommand = buildCommand<{ readonly force: boolean; readonly json: boolean }, [string], Context>({
  async func(flags, name) {
    await perform(this, flags.json, async () => {
      const { stopMachine } = await import("../../actions/machine/manage.ts");
      const state = stateDirectory(this.env);
      const how = await stopMachine(state, name, { force: flags.force, signal: this.signal });
      return { text: how === "off" ? `${name} is off` : `${name} was unplugged`, json: { name, how } };
    });
  },
  parameters: {
    positional: nameArgument,
    flags: { force: switchFlag("Pull the plug at once instead of pressing the power button"), json: jsonFlag },
  },
  docs: { brief: "Stop a virtual machine" },
});

const removeCommand = buildCommand<{ readonly force: boolean; readonly json: boolean }, [string], Context>({
  async func(flags, name) {
    await perform(this, flags.json, async () => {
      const { removeMachine } = await import("../../actions/machine/manage.ts");
      await removeMachine(stateDirectory(this.env), name, flags.force);
      return { text: `${name} is gone; its disk is not`, json: { name } };
    });
  },
  parameters: {
    positional: nameArgument,
    flags: { force: switchFlag("Stop it first when it runs"), json: jsonFlag },
  },
  docs: { brief: "Remove a virtual machine: its variable store, TPM and logs, not its disk" },
});

const logsCommand = buildCommand<{ readonly json: boolean }, [string], Context>({
  async func(flags, name) {
    await perform(this, flags.json, async () => {
      const { machineLog } = await import("../../actions/machine/manage.ts");
      const log = await machineLog(stateDirectory(this.env), name);
      return { text: log, json: { name, log } };
    });
  },
  parameters: { positional: nameArgument, flags: { json: jsonFlag } },
  docs: { brief: "Print the end of a machine's serial console" },
});

const sshCommand = buildCommand<object, string[], Context>({
  async func(_, name = "", ...command) {
    await perform(this, false, async () => {
      const { sshInto } = await import("../../actions/machine/manage.ts");
      const exitCode = await sshInto(stateDirectory(this.env), name, command);
      return { text: "", json: null, exitCode };
    });
  },
  parameters: {
    positional: {
      kind: "array",
      parameter: { brief: "Name of the machine, and a command with its arguments", parse: String, placeholder: "ARG" },
      minimum: 1,
    },
    flags: {},
  },
  docs: {
    brief: "Open a shell in a machine, or run a command there",
    fullDescription: ["EXAMPLES", "  sealwright vm ssh web", "  sealwright vm ssh web -- findmnt /"].join("\n"),
  },
});

export const vmRoutes = buildRouteMap<"run" | "ephemeral" | "test" | "list" | "stop" | "rm" | "logs" | "ssh", Context>({
  routes: {
    run: runCommand,
    ephemeral: vmEphemeralRoutes,
    test: vmTestCommand,
    list: listCommand,
    stop: stopCommand,
    rm: removeCommand,
    logs: logsCommand,
    ssh: sshCommand,
  },
  docs: { brief: "Virtual machines that prove a seal" },
});

function decode(chunk: Uint8Array): string {
  return Buffer.from(chunk).toString("utf8");
}
