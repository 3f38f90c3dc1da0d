import { expect, test } from "vitest";
import { type MachineConfig, qemuArguments } from "./arguments.ts";

const config: MachineConfig = {
  name: "web",
  architecture: "x86_64",
  accelerator: "tcg",
  memory: 1024,
  cpus: 2,
  firmware: { code: "/fw/CODE.fd", codeFormat: "raw", store: "/fw/VARS.fd", requiresSmm: true },
  store: "/state/vars.fd",
  storeFormat: "raw",
  disk: "/disks/a,b.raw",
  diskFormat: "raw",
  snapshot: true,
  monitor: "/run/monitor",
  tpm: "/run/tpm",
  serial: { log: "/state/serial.log", terminal: false },
  network: true,
  credentials: new Map([["a.b", Buffer.from("text")]]),
};

/** Values of an option, in order. */
const valuesOf = (argv: readonly string[], option: string): string[] =>
  argv.flatMap((word, i) => (word === option ? [argv[i + 1] ?? ""] : []));

test("qemuArguments() protects the variable store with system management mode", () => {
  const argv = qemuArguments(config);
  expect(argv[0]).toBe("qemu-system-x86_64");
  expect(valuesOf(argv, "-machine")).toEqual(["q35,smm=on"]);
  expect(valuesOf(argv, "-global")).toContain("driver=cfi.pflash01,property=secure,value=on");
  expect(valuesOf(argv, "-drive").slice(0, 2)).toEqual([
    "if=pflash,unit=0,format=raw,readonly=on,file=/fw/CODE.fd",
    "if=pflash,unit=1,format=raw,file=/state/vars.fd",
  ]);
});

test("qemuArguments() keeps commas in names of files, and leaves a disk alone when it is to", () => {
  expect(valuesOf(qemuArguments(config), "-drive")[2]).toBe(
    "if=none,id=disk0,format=raw,file=/disks/a,,b.raw,snapshot=on,cache=unsafe",
  );
  const kept = qemuArguments({ ...config, snapshot: false });
  expect(valuesOf(kept, "-drive")[2]).toBe("if=none,id=disk0,format=raw,file=/disks/a,,b.raw");
});

test("qemuArguments() gives credentials in SMBIOS, and listens on the loopback address alone", () => {
  const argv = qemuArguments(config);
  expect(valuesOf(argv, "-smbios")).toEqual(["type=11,value=io.systemd.credential.binary:a.b=dGV4dA=="]);
  expect(valuesOf(argv, "-netdev")).toEqual(["user,id=net0,hostfwd=tcp:127.0.0.1:0-:22"]);
  expect(qemuArguments({ ...config, network: false, tpm: undefined }).join(" ")).not.toMatch(/netdev|tpm/);
});

test("qemuArguments() forwards what is published besides SSH, and gives more disks by name", () => {
  const argv = qemuArguments({
    ...config,
    publish: [{ address: "0.0.0.0", host: 8080, guest: 80 }],
    moreDisks: [{ path: "/a,b.img", name: "tools" }],
  });
  expect(valuesOf(argv, "-netdev")).toEqual(["user,id=net0,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=tcp:0.0.0.0:8080-:80"]);
  expect(valuesOf(argv, "-drive")[3]).toBe("if=none,id=disk1,format=raw,readonly=on,file=/a,,b.img");
  expect(valuesOf(argv, "-device")).toContain("virtio-blk-pci,drive=disk1,serial=tools");
});

test("qemuArguments() of an aarch64 machine has no system management mode, and a TPM on its bus", () => {
  const firmware = {
    code: "/fw/AAVMF_CODE.fd",
    codeFormat: "raw",
    store: "/fw/AAVMF_VARS.fd",
    requiresSmm: false,
  } as const;
  const argv = qemuArguments({ ...config, architecture: "aarch64", firmware, report: "/state/report" });
  expect(argv[0]).toBe("qemu-system-aarch64");
  expect(valuesOf(argv, "-machine")).toEqual(["virt"]);
  expect(valuesOf(argv, "-cpu")).toEqual(["cortex-a57"]);
  expect(valuesOf(argv, "-device")).toEqual(
    expect.arrayContaining(["tpm-tis-device,tpmdev=tpm0", "pci-serial,chardev=serial1"]),
  );
  expect(argv.join(" ")).not.toMatch(/smm|ICH9|pflash01/);
});
