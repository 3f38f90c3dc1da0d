/** A rotation that is underway, and what there is to do in it. */
import { type Certificate, isSameCertificate } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import { type KeyName, loadOptional } from "./key-directory.ts";

export interface Rotation {
  readonly name: KeyName;
  readonly started: Date;
  /** Both keys are in use until then, at least. */
  readonly retireAfter: Date;
  readonly old: Certificate;
  readonly current: Certificate;
}

/** One thing to do. */
export interface RotationStep {
  readonly number: number;
  /** From when on: `YYYY-MM-DD`. */
  readonly from: string;
  /** Until when it has to be done. */
  readonly until?: string;
  readonly done: boolean;
  readonly what: string;
  readonly why?: string;
  /** The file that it is about, in the key directory. */
  readonly file?: string;
  readonly commands: readonly string[];
}

export interface RotationPlan {
  readonly schema: "sealwright.keys.rotation/1";
  readonly directory: string;
  readonly key: KeyName;
  readonly started: string;
  readonly retireAfter: string;
  readonly retired?: string;
  readonly old: RotationCertificate;
  readonly new: RotationCertificate;
  /** What was done just now, in `history`. */
  readonly step?: string;
  readonly steps: readonly RotationStep[];
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

export interface RotationCertificate {
  readonly subject: string;
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string;
  readonly notAfter: string;
}

interface Progress {
  readonly step?: string;
  readonly retired?: Date;
}

const dayOf = (time: Date): string => time.toISOString().slice(0, 10);

/** What there is to do, in order. */
export function planRotation(directory: string, rotation: Rotation, { retired, step }: Progress): RotationPlan {
  const { current, name, old, retireAfter, started } = rotation;
  const steps = STEPS[name](directory, rotation, retired !== undefined);
  return {
    schema: "sealwright.keys.rotation/1",
    directory,
    key: name,
    started: started.toISOString(),
    retireAfter: retireAfter.toISOString(),
    ...(retired === undefined ? {} : { retired: retired.toISOString() }),
    old: describe(old),
    new: describe(current),
    ...(step === undefined ? {} : { step }),
    steps: steps.map((each, index) => ({ number: index + 1, ...each })),
    warnings: checkRotation(rotation),
  };
}

function describe({ fingerprint, notAfter, subject }: Certificate): RotationCertificate {
  return { subject, fingerprint: toHex(fingerprint), notAfter: notAfter.toISOString() };
}

type Steps = (directory: string, rotation: Rotation, retired: boolean) => Omit<RotationStep, "number">[];

/** PCR 7 has the key databases in it: whatever is bound to its value is lost with every change to them. */
const PCR_7 = "PCR 7 changes: secrets bound to its value (and not to a signed policy) need their recovery key once";

const STEPS: Readonly<Record<KeyName, Steps>> = {
  db: (directory, { old, retireAfter, started }, retired) => {
    const [from, until] = [dayOf(started), dayOf(retireAfter)];
    return [
      {
        from,
        done: true,
        what: "the new db key and its certificate are made",
        file: "db.crt",
        commands: [`sealwright keys show ${directory}`],
      },
      {
        from,
        until,
        done: retired,
        what: "every image is signed with both keys",
        why: "machines start it whether they have the new certificate or not",
        commands: [
          `sealwright seal IMAGE --to IMAGE --key ${directory}/db.key --cert ${directory}/db.crt --key ${directory}/db-old.key --cert ${directory}/db-old.crt`,
        ],
      },
      {
        from,
        until,
        done: retired,
        what: "every machine in use takes the new certificate, besides the old one",
        why: PCR_7,
        file: "db-append.auth",
        commands: [`sealwright keys enroll --efivarfs --update ${directory}/db-append.auth`],
      },
      {
        from,
        done: retired,
        what: "new machines are enrolled with both certificates",
        file: "db.auth",
        commands: [
          `sealwright keys enroll --esp /efi --keys ${directory}`,
          `sealwright disk build IMAGE -o DISK --enroll-keys ${directory}`,
        ],
      },
      {
        from: until,
        done: retired,
        what: "the old certificate goes out of use, its key stays in history",
        file: "db.auth",
        commands: [`sealwright keys rotate db --keys ${directory} --retire`],
      },
      {
        from: until,
        done: false,
        what: "machines in use replace db, which takes the old certificate away",
        why: `until then they start what the old key signed. ${PCR_7}`,
        file: "db.auth",
        commands: [`sealwright keys enroll --efivarfs --update ${directory}/db.auth`],
      },
      {
        from: until,
        done: false,
        what: `only if the old key may be in other hands: ${old.subject} is revoked`,
        why: "its certificate is in history; images that carry its signature beside the new one stop as well: sign them anew first",
        file: "dbx-append.auth",
        commands: [`sealwright keys revoke OLD_CERTIFICATE --keys ${directory} --known IMAGE`],
      },
    ];
  },
  KEK: (directory, { retireAfter, started }, retired) => {
    const [from, until] = [dayOf(started), dayOf(retireAfter)];
    return [
      { from, done: true, what: "the new KEK and its certificate are made", file: "KEK.crt", commands: [] },
      {
        from,
        until,
        done: retired,
        what: "every machine in use takes the new KEK, besides the old one",
        why: `from then on it takes updates of db and dbx that the new one signed. ${PCR_7}`,
        file: "KEK-append.auth",
        commands: [`sealwright keys enroll --efivarfs --update ${directory}/KEK-append.auth`],
      },
      {
        from: until,
        done: retired,
        what: "the old KEK goes out of use, its key stays in history",
        file: "KEK.auth",
        commands: [`sealwright keys rotate KEK --keys ${directory} --retire`],
      },
      {
        from: until,
        done: false,
        what: "machines in use replace KEK, which takes the old one away",
        file: "KEK.auth",
        commands: [`sealwright keys enroll --efivarfs --update ${directory}/KEK.auth`],
      },
    ];
  },
  PK: (directory, { retireAfter, started }, retired) => {
    const [from, until] = [dayOf(started), dayOf(retireAfter)];
    return [
      { from, done: true, what: "the new PK and its certificate are made", file: "PK.crt", commands: [] },
      {
        from,
        until,
        done: retired,
        what: "every machine in use replaces its PK",
        why: `a machine has one: this update is signed by the old one. ${PCR_7}`,
        file: "PK-update.auth",
        commands: [`sealwright keys enroll --efivarfs --update ${directory}/PK-update.auth`],
      },
      {
        from: until,
        done: retired,
        what: "the old PK is no longer needed, its key stays in history",
        commands: [`sealwright keys rotate PK --keys ${directory} --retire`],
      },
    ];
  },
};

function checkRotation({ current, name, old, retireAfter }: Rotation): RotationPlan["warnings"] {
  const warnings: { code: string; message: string }[] = [];
  if (old.notAfter < retireAfter && name === "db") {
    const message = `"${old.subject}" expires on ${dayOf(old.notAfter)}, before both keys are done with: signing with it needs --allow-expired-cert`;
    warnings.push({ code: "keys.rotate.old-expires", message });
  }
  if (current.notAfter <= old.notAfter) {
    const message = `"${current.subject}" expires on ${dayOf(current.notAfter)}, no later than the one before`;
    warnings.push({ code: "keys.rotate.new-expires", message });
  }
  if (isSameCertificate(current, old)) {
    warnings.push({ code: "keys.rotate.same", message: "both certificates are the same" });
  }
  return warnings;
}

/** The file that keeps the dates. */
export function rotationFile({ name, retireAfter, started }: Rotation): [string, Uint8Array] {
  const dates = {
    schema: "sealwright.keys.dates/1",
    started: started.toISOString(),
    retireAfter: retireAfter.toISOString(),
  };
  return [`${name}-rotation.json`, Buffer.from(`${JSON.stringify(dates, undefined, 2)}\n`)];
}

/** @throws {FormatError} `keys.rotate.dates` */
export async function loadRotation(
  directory: string,
  name: KeyName,
): Promise<Pick<Rotation, "started" | "retireAfter"> | undefined> {
  const file = `${name}-rotation.json`;
  const bytes = await loadOptional(directory, file);
  if (bytes === undefined) return undefined;
  const [started, retireAfter] = ["started", "retireAfter"].map((key) => {
    try {
      const value = (JSON.parse(Buffer.from(bytes).toString("utf8")) as Record<string, unknown> | null)?.[key];
      return typeof value === "string" ? new Date(value) : undefined;
    } catch {
      return undefined;
    }
  });
  if (started === undefined || retireAfter === undefined || Number.isNaN(started.getTime() + retireAfter.getTime())) {
    const expected = "the dates started and retireAfter";
    throw new FormatError("keys.rotate.dates", { what: file, expected, found: "something else" });
  }
  return { started, retireAfter };
}
