/** Makes a signing request again, from the image it names: nothing of it is believed that does not come out again. */
import { listRequestFiles, type SigningRequest } from "../../formats/signing-request/index.ts";
import { type Certificate, parseCertificate } from "../../formats/x509/index.ts";
import { quote, VerificationError } from "../../lib/errors.ts";
import type { Image } from "../../model/image/image.ts";
import { openImage } from "../../model/image/open-image.ts";
import { completePe, loadRequestFile } from "../../model/signing-request/index.ts";
import { type SignedPolicy, withSignatures } from "./pcr-policies.ts";
import {
  isSignedFor,
  openSealInput,
  type PlanOptions,
  planSeal,
  type SealInput,
  type SealPlan,
  unsignedLoader,
} from "./plan.ts";
import { type MadeRequest, makeImageRequest, makeLoaderRequest, type RequestParts, toPlanOptions } from "./request.ts";

/** What reading the image needs; everything else is in the request. */
export interface RemakeOptions extends Pick<PlanOptions, "cacheDirectory" | "registries" | "signal" | "progress"> {
  /** Where the image is, if not where the request says. */
  readonly image?: string | undefined;
}

/** A request that the image has confirmed. Closing it closes the image. */
export interface RemadeSeal extends AsyncDisposable {
  readonly input: SealInput;
  readonly options: PlanOptions;
  readonly certificate: Certificate;
  readonly made: MadeRequest;
  /** But in round `boot-loader`. */
  readonly plan: SealPlan | undefined;
  /** The image's boot loader had its signature before. */
  readonly loaderSignedBefore: boolean;
}

/**
 * Opens the image of a request, plans the same seal and requires that it gives the same request.
 *
 * @param directory of the request: where a stub or addons come from that are not the image's
 * @throws {VerificationError} `signing-request.stale` when the reference names another image by now;
 *   `signing-request.differs` when the image does not give this request; `signing-request.file-differs`,
 *   `signing-request.signature-…` of the boot loader
 * @throws as `openSealInput`, `planSeal`
 */
export async function remakeSeal(
  directory: string,
  request: SigningRequest,
  reading: RemakeOptions,
): Promise<RemadeSeal> {
  const { registries, signal } = reading;
  const given = new Set(
    [...request.seal.addons, ...(request.seal.stub ? [request.seal.stub] : [])].map(({ sha256 }) => sha256),
  );
  for (const file of listRequestFiles(request)) if (given.has(file.sha256)) await loadRequestFile(directory, file);

  const { manifestDigest, platform, source } = request.image;
  const image = await openImage(reading.image ?? source, { registries, platform, ...(signal && { signal }) });
  await requireSameImage(image, manifestDigest);
  const asked: PlanOptions = { ...reading, ...toPlanOptions(request, directory), platform };
  const pcr = pcrSignatures(request);
  const options = asked.pcr && pcr ? { ...asked, pcr: withSignatures(asked.pcr, pcr) } : asked;
  const input = await openSealInput(image, options);
  try {
    const certificate = parseCertificate(Buffer.from(request.certificate.der, "base64"), "certificate of the request");
    const origin = {
      source,
      target: request.image.target,
      created: new Date(request.created),
      tool: request.tool,
    };
    const parts: RequestParts = { input, options, certificate, origin };
    const { bytes: plain } = unsignedLoader(input.parts);
    const loaderSignedBefore = isSignedFor(plain, certificate);
    const loader = findLoader(request, plain, certificate, loaderSignedBefore);
    const plan = loader && (await planSeal(input, loader, options));
    const made = plan
      ? makeImageRequest(parts, plan, { loader: loaderSignature(request), pcr })
      : makeLoaderRequest(parts);
    requireSame(request, made.request);
    return {
      input,
      options,
      certificate,
      made,
      plan,
      loaderSignedBefore,
      [Symbol.asyncDispose]: () => input[Symbol.asyncDispose](),
    };
  } catch (error) {
    await input[Symbol.asyncDispose]();
    throw error;
  }
}

async function requireSameImage(image: Image, expected: string): Promise<void> {
  if (image.manifestDigest === expected) return;
  await image[Symbol.asyncDispose]();
  throw new VerificationError(
    "signing-request.stale",
    `${image.name}: found the image ${image.manifestDigest}, the request is about ${expected}`,
    {
      data: { found: image.manifestDigest, expected },
      hint: "the tag has moved or the image was replaced: make a new request with sealwright seal --prepare",
    },
  );
}

function loaderSignature({ sealed }: SigningRequest): Uint8Array | undefined {
  const { signature } = sealed.bootLoader;
  return signature === undefined ? undefined : Buffer.from(signature, "base64");
}

function pcrSignatures({ sealed }: SigningRequest): SignedPolicy[] | undefined {
  return sealed.pcrSignatures?.map(({ signature, signed }) => ({
    signed: Buffer.from(signed, "base64"),
    signature: Buffer.from(signature, "base64"),
  }));
}

/** After the first round the boot loader's signature is in the image or in the request; it is verified here. */
function findLoader(
  request: SigningRequest,
  plain: Uint8Array,
  certificate: Certificate,
  signedBefore: boolean,
): Uint8Array | undefined {
  if (request.round === "boot-loader") return undefined;
  const bytes = loaderSignature(request);
  if (signedBefore && bytes === undefined) return plain;
  const file = "sealed.bootLoader.signature";
  return completePe(plain, certificate, new Uint8Array(), { kind: "pkcs7", file, bytes: bytes ?? new Uint8Array() });
}

/** @throws {VerificationError} `signing-request.differs` */
function requireSame(request: SigningRequest, made: SigningRequest): void {
  if (request.id === made.id) return;
  const { id: _, ...claimed } = request;
  const { id: __, ...found } = made;
  const place = findDifference(claimed, found, "") ?? "document";
  throw new VerificationError(
    "signing-request.differs",
    `signing request ${request.id}: the image ${request.image.manifestDigest} gives another ${place}: ` +
      `found ${show(at(found, place))}, the request has ${show(at(claimed, place))}`,
    {
      data: { place, expected: at(claimed, place), found: at(found, place) },
      hint: "whoever made the request used another version of Sealwright, or lies",
    },
  );
}

type Json = unknown;

/** The path of the first member that differs, in the order of the document. */
function findDifference(a: Json, b: Json, path: string): string | undefined {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    return a === b ? undefined : path;
  }
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const found = findDifference(
      (a as Record<string, Json>)[key],
      (b as Record<string, Json>)[key],
      path === "" ? key : `${path}.${key}`,
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

function at(value: Json, path: string): Json {
  return path.split(".").reduce<Json>((inner, key) => (inner as Record<string, Json> | undefined)?.[key], value);
}

const show = (value: Json): string => (value === undefined ? "nothing" : quote(JSON.stringify(value)));
