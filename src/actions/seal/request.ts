/** From a seal to the request for its signatures, and back: the same image and options give the same request. */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { computeAuthenticodeDigest, prepareSignature } from "../../formats/authenticode/index.ts";
import { showPlatform } from "../../formats/oci/index.ts";
import {
  FILES,
  makeSigningRequest,
  type RequestItem,
  type SealRequest,
  type SigningRequest,
  STUB_NAME,
  showTime,
} from "../../formats/signing-request/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { toHex } from "../../lib/bytes/numbers.ts";
import { UsageError } from "../../lib/errors.ts";
import { parseOsRelease } from "../../model/os/index.ts";
import { findLoaderVersion } from "../../model/os/loader-version.ts";
import { listPcrItems, type SignedPolicy, toSealPcr } from "./pcr-policies.ts";
import {
  isSignedFor,
  type PlanOptions,
  type SealInput,
  type SealPlan,
  signingTimes,
  type UnsignedPe,
  unsignedLoader,
} from "./plan.ts";

/** What a request says of itself that does not follow from the image. */
export interface RequestOrigin {
  /** Reference of the image, as the builder names it. */
  readonly source: string;
  readonly target: string | undefined;
  readonly created: Date;
  /** Program and version. */
  readonly tool: string;
}

export interface RequestParts {
  readonly input: SealInput;
  readonly options: PlanOptions;
  readonly certificate: Certificate;
  readonly origin: RequestOrigin;
}

/** A request with the files that go with it. */
export interface MadeRequest {
  readonly request: SigningRequest;
  /** By name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Those of them that are to be signed. */
  readonly unsigned: ReadonlyMap<string, UnsignedPe>;
}

/** The boot loader alone: the digest, and with it the UKI, depends on the bytes of its signature. */
export function makeLoaderRequest(parts: RequestParts): MadeRequest {
  const loader = unsignedLoader(parts.input.parts);
  return assemble(parts, "boot-loader", [loader], { bootLoader: describeLoader(parts.input) });
}

/** What earlier rounds gave. */
export interface EarlierSignatures {
  /** Of the boot loader, PKCS #7; absent when that of the image has its signature. */
  readonly loader: Uint8Array | undefined;
  /** Absent when there are none, or they are to be signed. */
  readonly pcr: readonly SignedPolicy[] | undefined;
}

/**
 * Everything but the boot loader; where there are PCR policies without a signature, these alone: their signatures are
 * part of the UKI.
 */
export function makeImageRequest(parts: RequestParts, plan: SealPlan, earlier: EarlierSignatures): MadeRequest {
  const { certificate, input, options } = parts;
  const planned = {
    bootLoader: {
      ...describeLoader(input),
      ...(earlier.loader && { signature: toBase64(earlier.loader) }),
    },
    digests: Object.fromEntries(plan.digests.map(({ format, hex }) => [format.name, hex])),
    commandLine: plan.commandLine,
    ...(input.addons.length > 0 && {
      addons: input.addons.map(({ commandLine, path }) => ({ path: `/${path}`, commandLine })),
    }),
  };
  const uki = plan.unsigned.find(({ role }) => role === "uki");
  if (options.pcr !== undefined && earlier.pcr === undefined && uki !== undefined) {
    return assemble(parts, "pcr-policies", [], planned, listPcrItems(uki.bytes, options.pcr));
  }
  const unsigned = plan.unsigned.filter(({ bytes }) => !isSignedFor(bytes, certificate));
  const pcrSignatures = earlier.pcr?.map(({ signature, signed }) => ({
    signed: toBase64(signed),
    signature: toBase64(signature),
  }));
  return assemble(parts, "image", unsigned, { ...planned, ...(pcrSignatures && { pcrSignatures }) });
}

/** Name of an item and of its files. */
export const itemName = ({ path }: UnsignedPe): string => basename(path);

function assemble(
  { certificate, input, options, origin }: RequestParts,
  round: SigningRequest["round"],
  unsigned: readonly UnsignedPe[],
  planned: Omit<SigningRequest["sealed"], "os" | "imageVersion" | "kernel">,
  others: readonly RequestItem[] = [],
): MadeRequest {
  const { image, parts } = input;
  const byName = new Map(unsigned.map((each) => [itemName(each), each]));
  if (byName.size !== unsigned.length) {
    throw new UsageError(
      "seal.addon.twice",
      "two files to be signed have one name: expected addons of different names",
    );
  }
  const times = signingTimes(certificate, options);
  const fingerprint = toHex(certificate.fingerprint);
  const toSign = unsigned.map((each): RequestItem => {
    const { bytes, path, role } = each;
    const { digest, message } = prepareSignature(bytes, times[role]);
    return {
      role,
      name: itemName(each),
      toBeSigned: toBase64(message),
      path: `/${path}`,
      ...describeFile(itemName(each), bytes),
      authenticodeDigest: toHex(digest),
      certificate: fingerprint,
    };
  });
  const items = [...toSign, ...others];
  const { id, name, versionId } = parseOsRelease(parts.osRelease);
  const imageVersion = image.config.config?.Labels?.["org.opencontainers.image.version"];
  const sealed = {
    os: { id, name, ...(versionId === undefined ? {} : { version: versionId }) },
    ...(imageVersion === undefined ? {} : { imageVersion }),
    kernel: parts.kernel.version,
    ...planned,
  };
  const { architecture, os, variant } = image.config;
  const request = makeSigningRequest({
    round,
    created: showTime(origin.created),
    tool: origin.tool,
    image: {
      source: origin.source,
      manifestDigest: image.manifestDigest,
      platform: showPlatform({ os: os ?? "linux", architecture, variant }),
      ...(origin.target === undefined ? {} : { target: origin.target }),
    },
    seal: describeOptions(input, options),
    sealed,
    certificate: { subject: certificate.subject, fingerprint, der: toBase64(certificate.der) },
    items,
    summary: summarize(origin, sealed, items),
  });
  const extra = new Map([
    ...(options.stubPath === undefined ? [] : [[STUB_NAME, parts.stub.bytes] as const]),
    ...input.addons.map(({ bytes, path }) => [basename(path), bytes] as const),
  ]);
  const files = new Map([...extra, ...[...byName].map(([each, { bytes }]) => [each, bytes] as const)]);
  return { request, files, unsigned: byName };
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

function describeLoader({ parts }: SealInput): SigningRequest["sealed"]["bootLoader"] {
  const { bytes, path } = parts.loader;
  const version = findLoaderVersion(bytes);
  const authenticodeDigest = toHex(computeAuthenticodeDigest(bytes));
  return { path, ...(version === undefined ? {} : { version }), authenticodeDigest };
}

function describeFile(name: string, bytes: Uint8Array) {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { file: `${FILES}/${name}`, size: bytes.length, sha256 };
}

function describeOptions({ addons, formats, parts }: SealInput, options: PlanOptions): SealRequest {
  const { allowMissingVerity, buildTime, keepKernel, kernelArguments, noDump, normalize, normalizeAll } = options;
  return {
    kernelArguments: kernelArguments ?? [],
    keepKernel: keepKernel ?? false,
    ...(options.stubPath === undefined ? {} : { stub: describeFile(STUB_NAME, parts.stub.bytes) }),
    addons: addons.map(({ bytes, path }) => ({
      ...describeFile(basename(path), bytes),
      global: path.startsWith("boot/loader/addons/"),
    })),
    digestFormats: formats.map(({ name }) => name),
    normalize: normalizeAll === true ? "all" : normalize === true ? "yes" : "no",
    dump: noDump !== true,
    allowMissingVerity: allowMissingVerity ?? false,
    ...(options.pcr === undefined ? {} : { pcrPublicKey: toBase64(options.pcr.publicKeyPem) }),
    ...(buildTime === undefined ? {} : { buildTime: showTime(buildTime) }),
  };
}

/** The options that make the same seal again: the inverse of `describeOptions`. */
export function toPlanOptions({ seal }: SigningRequest, directory: string): PlanOptions {
  return {
    kernelArguments: seal.kernelArguments,
    keepKernel: seal.keepKernel,
    ...(seal.stub === undefined ? {} : { stubPath: join(directory, seal.stub.file) }),
    addons: seal.addons.map(({ file, global }) => `${global ? "global:" : ""}${join(directory, file)}`),
    digestFormats: seal.digestFormats.join(","),
    normalize: seal.normalize !== "no",
    normalizeAll: seal.normalize === "all",
    noDump: !seal.dump,
    allowMissingVerity: seal.allowMissingVerity,
    ...(seal.pcrPublicKey === undefined ? {} : { pcr: toSealPcr(Buffer.from(seal.pcrPublicKey, "base64")) }),
    ...(seal.buildTime === undefined ? {} : { buildTime: new Date(seal.buildTime) }),
  };
}

function summarize(
  { source, target }: RequestOrigin,
  { addons = [], bootLoader, commandLine, imageVersion, kernel, os }: SigningRequest["sealed"],
  items: readonly RequestItem[],
): string[] {
  return [
    `seal ${source}${target === undefined ? "" : ` as ${target}`}`,
    `${os.name}${imageVersion === undefined ? "" : `, image version ${imageVersion}`}, kernel ${kernel}`,
    `systemd-boot ${bootLoader.version ?? "of unknown version"}`,
    ...(commandLine === undefined ? [] : [`command line: ${commandLine}`]),
    ...addons.map((addon) => `addon ${addon.path}: ${addon.commandLine || "no command line"}`),
    ...items.map(({ name, role }) => `to sign: ${role} ${name}`),
  ];
}
