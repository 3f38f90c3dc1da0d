/** What stands in the way of enrolling, and what its owner should know. */
import type { PreflightProblem, PreflightReport } from "./preflight.ts";

type Facts = Omit<PreflightReport, "problems" | "ready">;

/** What is done besides: what `keys enroll` would be told. */
interface Plans {
  readonly microsoft: boolean;
}

type Check = (facts: Facts, plans: Plans) => PreflightProblem | undefined;

const CHECKS: readonly Check[] = [
  ({ firmware }) =>
    firmware.hasVariables
      ? undefined
      : blocks(
          "preflight.no-uefi",
          "found no variables of UEFI firmware: started without UEFI, or efivarfs not mounted",
        ),
  ({ firmware, own }) =>
    !firmware.hasVariables || firmware.setupMode === true || own?.PK === true
      ? undefined
      : blocks(
          "preflight.not-setup-mode",
          "the firmware has a PK of somebody else",
          "clear its keys in the set-up menu: systemctl reboot --firmware-setup",
        ),
  ({ optionRoms }, { microsoft }) =>
    optionRoms.length === 0 || microsoft
      ? undefined
      : blocks(
          "preflight.option-roms",
          `${optionRoms.length} option ROMs start on this machine, which one's own keys do not allow`,
          "enrol with --microsoft, or with --allow-option-roms",
        ),
  ({ started }) => {
    const stopped = started.filter(({ afterwards }) => afterwards === "stops");
    if (stopped.length === 0) return undefined;
    const names = stopped.map(({ digest, path, reason }) => `${path ?? digest} (${reason ?? ""})`).join("; ");
    return blocks("preflight.boot-chain", `what this machine started from would not start: ${names}`, "sign it first");
  },
  ({ freeSpace, neededSpace }) =>
    freeSpace === undefined || neededSpace === undefined || freeSpace >= neededSpace
      ? undefined
      : blocks("preflight.no-room", `firmware has ${freeSpace} bytes left for variables, needed are ${neededSpace}`),
  ({ firmware, own }) =>
    own?.PK === true && firmware.secureBoot === false
      ? warns(
          "preflight.secure-boot-off",
          "these keys are enrolled, and Secure Boot is switched off",
          "switch it on in the set-up menu",
        )
      : undefined,
  ({ firmware }) =>
    firmware.shimValidationOff
      ? warns(
          "preflight.shim-validation-off",
          "shim was told to start what nobody signed (mokutil --enable-validation)",
        )
      : undefined,
  ({ tpm }) =>
    tpm.eventLog
      ? undefined
      : warns(
          "preflight.no-event-log",
          "no TPM, or no event log: nobody can say which option ROMs this machine starts",
        ),
  ({ started }) => {
    const unknown = started.filter(({ afterwards, reason }) => afterwards === "unknown" && reason?.includes("ESP"));
    if (unknown.length === 0) return undefined;
    const names = unknown.map(({ digest }) => digest.slice(0, 16)).join(", ");
    return warns("preflight.program-unknown", `started from somewhere else than the ESP, so not judged: ${names}`);
  },
  ({ databases }) => {
    const names = Object.entries(databases).flatMap(([name, { certificates }]) =>
      certificates.filter(({ expired }) => expired).map(({ subject }) => `${name} "${subject}"`),
    );
    if (names.length === 0) return undefined;
    const message = `expired: ${names.join(", ")}; firmware does not look at that, who signs with them does`;
    return warns("preflight.certificate-expired", message);
  },
  ({ databases }) => {
    const known = (databases.db?.certificates ?? []).flatMap((one) => (one.known === undefined ? [] : [one.known]));
    const others = known.filter((name) => !name.includes("Windows"));
    if (!others.some((name) => name.endsWith("2011")) || others.some((name) => name.endsWith("2023"))) return undefined;
    return warns(
      "preflight.microsoft-2023-missing",
      "db has Microsoft's certificate of 2011 for other vendors, and not that of 2023: newer option ROMs and shims need it",
    );
  },
  ({ databases, own }) => {
    const foreign = (databases.KEK?.certificates ?? []).filter(({ whose }) => whose !== "own");
    if (own?.PK !== true || foreign.length === 0) return undefined;
    const names = foreign.map(({ subject }) => `"${subject}"`).join(", ");
    return warns(
      "preflight.foreign-kek",
      `KEK has ${names}: who holds that key may change what starts on this machine`,
    );
  },
];

export function checkPreflight(facts: Facts, plans: Plans): PreflightProblem[] {
  return CHECKS.map((check) => check(facts, plans)).filter((problem) => problem !== undefined);
}

const blocks = (code: string, message: string, hint?: string): PreflightProblem => problem(true, code, message, hint);
const warns = (code: string, message: string, hint?: string): PreflightProblem => problem(false, code, message, hint);

function problem(isBlocking: boolean, code: string, message: string, hint: string | undefined): PreflightProblem {
  return { blocks: isBlocking, code, message, ...(hint === undefined ? {} : { hint }) };
}
