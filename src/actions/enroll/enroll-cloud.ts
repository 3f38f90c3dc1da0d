/** Keys in the forms in which clouds take them with an image. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { encodeAwsVariables, MAX_UEFI_DATA_SIZE } from "../../formats/awsuefi/index.ts";
import { encodeEfiTime, KEY_DATABASES, SECURE_BOOT_ATTRIBUTES } from "../../formats/efivars/index.ts";
import { encodeSignatureLists, type SignatureList } from "../../formats/esl/index.ts";
import { PolicyError } from "../../lib/errors.ts";
import { outputError } from "../../model/host-io/errors.ts";
import { storeFile } from "../../model/host-io/files.ts";
import { loadMicrosoftCertificates } from "../../model/secure-boot/index.ts";
import { type EnrolledName, type Enrolment, loadEnrolment } from "./enrolment.ts";

export const CLOUDS = ["aws", "azure", "gcp"] as const;
export type Cloud = (typeof CLOUDS)[number];

export interface EnrolCloudOptions {
  readonly cloud: Cloud;
  readonly keys: string;
  /** A file; for Google Cloud a directory. */
  readonly output: string;
  readonly microsoft?: boolean;
  readonly overwrite?: boolean;
  readonly dryRun?: boolean;
}

export interface EnrolledCloud {
  readonly cloud: Cloud;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** What makes an image with it. */
  readonly commands: readonly string[];
  readonly notes: readonly string[];
  readonly dryRun: boolean;
}

/** What a cloud is given: files below `output`, or `output` itself under the name "". */
interface CloudFiles {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly commands: readonly string[];
  readonly notes: readonly string[];
}

/**
 * @throws {PolicyError} `enrol.aws-too-large`
 * @throws as `loadEnrolment`; {InputOutputError} `output.…`
 */
export async function enrolCloud(options: EnrolCloudOptions): Promise<EnrolledCloud> {
  const { cloud, dryRun = false, keys, microsoft = false, output, overwrite = false } = options;
  const enrolment = await loadEnrolment(keys, { microsoft: microsoft ? await loadMicrosoftCertificates() : [] });
  const { commands, files, notes } = MAKERS[cloud](enrolment, output);
  const placed = [...files].map(([name, content]) => ({ path: name === "" ? output : join(output, name), content }));
  if (!dryRun) {
    if (!files.has("")) {
      await mkdir(output, { recursive: true }).catch((error: unknown) => {
        throw outputError(error, output);
      });
    }
    for (const { content, path } of placed) await storeFile(path, content, { overwrite });
  }
  return { cloud, files: placed.map(({ content, path }) => ({ path, size: content.length })), commands, notes, dryRun };
}

const MAKERS: Readonly<Record<Cloud, (enrolment: Enrolment, output: string) => CloudFiles>> = {
  aws: makeAws,
  azure: makeAzure,
  gcp: makeGcp,
};

/** Variables as python-uefivars makes them from PK.esl, KEK.esl, db.esl and dbx.esl; the times are the certificates' own. */
function makeAws({ keys, lists }: Enrolment, output: string): CloudFiles {
  const time = encodeEfiTime(keys.PK.notBefore);
  const variables = (["PK", "KEK", "db", "dbx"] as const).flatMap((name) => {
    const content = lists.get(name);
    if (content === undefined) return [];
    const { vendor } = KEY_DATABASES[name];
    return [{ name, vendor, attributes: SECURE_BOOT_ATTRIBUTES, time, data: encodeSignatureLists(content) }];
  });
  const text = Buffer.from(encodeAwsVariables(variables)).toString("base64");
  if (text.length > MAX_UEFI_DATA_SIZE) {
    const message = `the variables have ${text.length} characters, EC2 takes ${MAX_UEFI_DATA_SIZE}`;
    throw new PolicyError("enrol.aws-too-large", message, { hint: "revoke fewer digests, or certificates instead" });
  }
  return {
    files: new Map([["", Buffer.from(text)]]),
    commands: [
      `aws ec2 register-image --name NAME --boot-mode uefi --tpm-support v2.0 --architecture x86_64 --root-device-name /dev/xvda --block-device-mappings DeviceName=/dev/xvda,Ebs={SnapshotId=SNAPSHOT} --uefi-data "$(cat ${output})"`,
    ],
    notes: ["in the form of python-uefivars 1.2, without its dictionary; not tried in EC2 itself"],
  };
}

type AzureKey = { readonly type: "x509" | "sha256"; readonly value: readonly string[] };

/** `securityProfile.uefiSettings` of an image version in a compute gallery. */
function makeAzure({ lists }: Enrolment): CloudFiles {
  const keysOf = (name: EnrolledName): AzureKey[] =>
    (["x509", "sha256"] as const).flatMap((type) => {
      const value = dataOf(lists.get(name) ?? [], type).map((data) => Buffer.from(data).toString("base64"));
      return value.length === 0 ? [] : [{ type, value }];
    });
  const [pk] = keysOf("PK");
  const dbx = keysOf("dbx");
  const uefiSettings = {
    signatureTemplateNames: ["NoSignatureTemplate"],
    additionalSignatures: { pk, kek: keysOf("KEK"), db: keysOf("db"), ...(dbx.length === 0 ? {} : { dbx }) },
  };
  const text = `${JSON.stringify({ securityProfile: { uefiSettings } }, undefined, 2)}\n`;
  return {
    files: new Map([["", Buffer.from(text)]]),
    commands: [
      "az rest --method PUT --url '/subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.Compute/galleries/GALLERY/images/DEFINITION/versions/VERSION?api-version=2024-03-03' --body @version.json",
    ],
    notes: [
      "it goes into the properties of the image version, beside publishingProfile and storageProfile (version.json)",
      "NoSignatureTemplate: nothing of Microsoft's is enrolled but what --microsoft adds",
      ...lost(lists, ["x509", "sha256"]),
      "not tried in Azure itself",
    ],
  };
}

/** Files for `gcloud compute images create`: X.509 certificates in DER; and as the API takes them. */
function makeGcp({ lists }: Enrolment, output: string): CloudFiles {
  const files = new Map<string, Uint8Array>();
  const flags: string[] = [];
  const state: Record<string, unknown> = {};
  for (const { flag, member, name } of GCP_FIELDS) {
    const content = lists.get(name) ?? [];
    const certificates = dataOf(content, "x509");
    const own = certificates.map((der, index): [string, Uint8Array] => [fileName(name, index), der]);
    const other = content.filter(({ typeName }) => typeName !== "x509");
    if (other.length > 0) own.push([`${name}.bin`, encodeSignatureLists(other)]);
    if (own.length === 0) continue;
    for (const [file, bytes] of own) files.set(file, bytes);
    flags.push(`${flag}=${own.map(([file]) => join(output, file)).join(",")}`);
    const entries = own.map(([file, bytes]) => ({
      content: Buffer.from(bytes).toString("base64"),
      fileType: file.endsWith(".bin") ? "BIN" : "X509",
    }));
    state[member] = member === "pk" ? entries[0] : entries;
  }
  files.set("initial-state.json", Buffer.from(`${JSON.stringify(state, undefined, 2)}\n`));
  return {
    files,
    commands: [
      `gcloud compute images create NAME --source-uri gs://BUCKET/disk.tar.gz --guest-os-features UEFI_COMPATIBLE ${flags.join(" ")}`,
    ],
    notes: [
      "initial-state.json is the same for the API: shieldedInstanceInitialState",
      ...(files.has("dbx.bin") ? ["dbx.bin has signature lists: documented as raw binary, and no further"] : []),
      "instances need --shielded-secure-boot; not tried in Google Cloud itself",
    ],
  };
}

const GCP_FIELDS = [
  { name: "PK", flag: "--platform-key-file", member: "pk" },
  { name: "KEK", flag: "--key-exchange-key-file", member: "keks" },
  { name: "db", flag: "--signature-database-file", member: "dbs" },
  { name: "dbx", flag: "--forbidden-database-file", member: "dbxs" },
] as const;

const fileName = (name: string, index: number): string => `${name}${index === 0 ? "" : `-${index + 1}`}.der`;

function dataOf(lists: readonly SignatureList[], type: SignatureList["typeName"]): Uint8Array[] {
  return lists
    .filter(({ typeName }) => typeName === type)
    .flatMap(({ signatures }) => signatures.map(({ data }) => data));
}

/** Entries that a cloud has no form for must not vanish unseen. */
function lost(lists: Enrolment["lists"], taken: readonly SignatureList["typeName"][]): string[] {
  const others = [...lists].flatMap(([name, content]) =>
    content
      .filter(({ typeName }) => !taken.includes(typeName))
      .map(({ typeName }) => `${name} ${typeName ?? "unknown"}`),
  );
  return others.length === 0 ? [] : [`LEFT OUT, for there is no form for it: ${others.join(", ")}`];
}
