import { createHash } from "node:crypto";
import * as v from "valibot";
import { FormatError, quote, VerificationError } from "../../lib/errors.ts";
import { digestField, type Immutable } from "../oci/document.ts";
import {
  base64Field,
  HOSTILE_PATH,
  hashDocument,
  parseVersioned,
  sha256Field,
  textField,
  timeField,
} from "./document.ts";
import {
  FILES,
  ITEM_NAME,
  MAX_FILE_SIZE,
  MAX_ITEMS,
  MAX_REQUEST_SIZE,
  MAX_TO_BE_SIGNED_SIZE,
  PCR_ROLE,
  PE_ROLES,
  REQUEST_SCHEMA,
  ROUNDS,
  SCHEMA_VERSION,
} from "./layout.ts";

const nameField = v.pipe(v.string(), v.regex(ITEM_NAME, HOSTILE_PATH));

const sizeField = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(MAX_FILE_SIZE));

const itemCommon = {
  /** Of its files in the directory; unique in the request. */
  name: nameField,
  /** Sign this: RSASSA-PKCS1-v1_5 or ECDSA with SHA-256. Base64. */
  toBeSigned: base64Field(MAX_TO_BE_SIGNED_SIZE),
};

const fileFields = {
  /** `files/NAME`. */
  file: v.string(),
  /** Bytes. */
  size: sizeField,
  sha256: sha256Field,
};

/** A PE file to sign. `toBeSigned` is the signed attributes of its signature, a DER SET. */
const peItem = v.strictObject({
  role: v.picklist(PE_ROLES),
  ...itemCommon,
  /** In the sealed image. */
  path: textField,
  ...fileFields,
  /** SHA-256, lower-case hex. */
  authenticodeDigest: sha256Field,
  /** SHA-256 of the certificate that the signature is to be checked with. */
  certificate: sha256Field,
});

/** A statement "PCR 11 may have this value" to sign. `toBeSigned` is what systemd-measure calls so. */
const pcrItem = v.strictObject({
  role: v.literal(PCR_ROLE),
  ...itemCommon,
  bank: v.picklist(["sha1", "sha256", "sha384", "sha512"]),
  /** Phases of the boot, joined with ":". */
  phases: textField,
  /** SHA-256 of the SubjectPublicKeyInfo of the key. */
  publicKey: sha256Field,
});

/** What sealing was asked to do, beside the image: with both, the request can be made again bit for bit. */
const sealFields = v.strictObject({
  /** Behind those of the image and the digest. */
  kernelArguments: v.array(textField),
  keepKernel: v.boolean(),
  /** A stub that is not the image's. */
  stub: v.optional(v.strictObject(fileFields)),
  /** UKI addons that are not the image's: for its UKI, or `global` for every UKI. */
  addons: v.array(v.strictObject({ ...fileFields, global: v.boolean() })),
  /** Names of formats, the first one first. */
  digestFormats: v.array(textField),
  normalize: v.picklist(["no", "yes", "all"]),
  dump: v.boolean(),
  /** `composefs=?`: hosts without fs-verity boot, unprotected. */
  allowMissingVerity: v.boolean(),
  /** Key of the PCR policies: its public key in PEM, base64. */
  pcrPublicKey: v.optional(base64Field(64 << 10)),
  buildTime: v.optional(timeField),
});

const requestSchema = v.strictObject({
  schema: v.literal(REQUEST_SCHEMA),
  version: v.literal(SCHEMA_VERSION),
  /** SHA-256 of the canonical JSON of everything else: what approvals approve. Lower-case hex. */
  id: sha256Field,
  /**
   * `boot-loader`: its signature is part of the digest of the tree. `pcr-policies`: their signatures are part of the UKI,
   * which has the digest. `image`: the rest.
   */
  round: v.picklist(ROUNDS),
  /** When the builder says it was made. */
  created: timeField,
  /** Program and version that made it. */
  tool: textField,
  image: v.strictObject({
    /** Reference, as the builder named it. */
    source: textField,
    manifestDigest: digestField,
    /** `OS/ARCH[/VARIANT]`. */
    platform: textField,
    /** Reference that the sealed image is to have. */
    target: v.optional(textField),
  }),
  seal: sealFields,
  /** What is in the image, and what the sealed one will be. */
  sealed: v.strictObject({
    /** From os-release. */
    os: v.strictObject({ id: textField, name: textField, version: v.optional(textField) }),
    /** Label `org.opencontainers.image.version`. */
    imageVersion: v.optional(textField),
    kernel: textField,
    bootLoader: v.strictObject({
      path: textField,
      version: v.optional(textField),
      authenticodeDigest: sha256Field,
      /** After round `boot-loader`, where the image's own has none: the signature that an earlier round gave. PKCS #7, base64. */
      signature: v.optional(base64Field(64 << 10)),
    }),
    /** But in round `boot-loader`: composefs digests by format, lower-case hex. */
    digests: v.optional(v.record(v.string(), v.pipe(v.string(), v.regex(/^[0-9a-f]{64}(?:[0-9a-f]{64})?$/)))),
    /** But in round `boot-loader`: of the kernel. */
    commandLine: v.optional(textField),
    /** But in round `boot-loader`: addons and what they add to the command line. */
    addons: v.optional(v.array(v.strictObject({ path: textField, commandLine: textField }))),
    /** In round `image`, with PCR policies: what an earlier round signed. Base64. */
    pcrSignatures: v.optional(
      v.pipe(
        v.array(v.strictObject({ signed: base64Field(MAX_TO_BE_SIGNED_SIZE), signature: base64Field(2048) })),
        v.maxLength(MAX_ITEMS),
      ),
    ),
  }),
  /** Whose key is to sign. */
  certificate: v.strictObject({
    subject: textField,
    /** SHA-256, lower-case hex. */
    fingerprint: sha256Field,
    /** Base64. */
    der: base64Field(64 << 10),
  }),
  items: v.pipe(v.array(v.variant("role", [peItem, pcrItem])), v.minLength(1), v.maxLength(MAX_ITEMS)),
  /** For people: nothing is taken from it. */
  summary: v.pipe(v.array(textField), v.maxLength(64)),
});

/** What is to be signed, of which image, by whom. */
export type SigningRequest = Immutable<v.InferOutput<typeof requestSchema>>;
export type RequestItem = SigningRequest["items"][number];
export type PeItem = Extract<RequestItem, { readonly file: string }>;
export type PcrItem = Exclude<RequestItem, PeItem>;
export type SealRequest = SigningRequest["seal"];

/** A request without its identifier, which follows from it. */
export type RequestContent = Omit<SigningRequest, "id" | "schema" | "version">;

const KIND = {
  what: "signing request",
  schema: REQUEST_SCHEMA,
  version: SCHEMA_VERSION,
  area: "signing-request",
  maxSize: MAX_REQUEST_SIZE,
};

/**
 * Reads a request. What it holds is what it says of itself: that nobody edited it, not that it is true.
 *
 * @throws {FormatError} `signing-request.malformed`, `signing-request.schema`; `signing-request.path` for a name that
 *   could leave the directory; `signing-request.certificate` when certificate and fingerprint are two
 * @throws {UnsupportedError} `signing-request.version`
 * @throws {VerificationError} `signing-request.edited` when the identifier is not that of the content
 */
export function parseSigningRequest(bytes: Uint8Array): SigningRequest {
  const request: SigningRequest = parseVersioned(bytes, requestSchema, KIND);
  const { id, ...content } = request;
  const computed = hashDocument(content);
  if (computed !== id) {
    throw new VerificationError("signing-request.edited", `signing request ${id}: its content is that of ${computed}`, {
      hint: "somebody edited it; make a new one with: sealwright seal --prepare",
      data: { found: computed, expected: id },
    });
  }
  requirePlaces(request);
  requireCertificate(request);
  return request;
}

/** Completes a request with its identifier. */
export function makeSigningRequest(content: RequestContent): SigningRequest {
  const document = { schema: REQUEST_SCHEMA, version: SCHEMA_VERSION, ...content } as const;
  return { ...document, id: hashDocument(document) };
}

/** A request as a file: JSON with white space, since people read it. The identifier does not depend on that. */
export function encodeSigningRequest(request: SigningRequest): Uint8Array {
  return Buffer.from(`${JSON.stringify(request, undefined, 2)}\n`);
}

/** A file that belongs to a request. */
export interface RequestFile {
  /** Without directory. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Every file in `files/`. */
export function listRequestFiles({ items, seal }: SigningRequest): RequestFile[] {
  const files = [...items.filter((item) => "file" in item), ...seal.addons, ...(seal.stub ? [seal.stub] : [])];
  // An addon is there as an item, too, unless it has its signature already.
  const byPlace = new Map(files.map((one) => [one.file, one]));
  return [...byPlace.values()].map(({ file, sha256, size }) => ({ name: file.slice(FILES.length + 1), size, sha256 }));
}

/** Starts with an underscore, as no file in an ESP does. */
export const STUB_NAME = "_stub.efi";

/** Each file has one place, which its name gives, and one content. */
function requirePlaces({ items, seal }: SigningRequest): void {
  const stub = seal.stub === undefined ? [] : [{ ...seal.stub, name: STUB_NAME }];
  const addons = seal.addons.map((addon) => ({ ...addon, name: addon.file.slice(FILES.length + 1) }));
  requireUnique(items.map(({ name }) => name));
  requireUnique(addons.map(({ name }) => name));
  const known = new Map<string, string>();
  for (const one of [...items, ...addons, ...stub]) {
    if (!("file" in one)) continue;
    if (one.file !== `${FILES}/${one.name}` || !ITEM_NAME.test(one.name)) {
      throw new FormatError("signing-request.path", {
        what: "signing request: file",
        expected: `${FILES}/ and a name`,
        found: quote(one.file),
      });
    }
    const sha256 = known.get(one.name) ?? one.sha256;
    if (sha256 !== one.sha256) requireUnique([one.name, one.name]);
    known.set(one.name, sha256);
  }
}

function requireUnique(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new FormatError("signing-request.malformed", {
    what: "signing request: items",
    expected: "each name once",
    found: `${quote(twice)} again`,
  });
}

function requireCertificate({ certificate: { der, fingerprint }, items }: SigningRequest): void {
  const computed = createHash("sha256").update(Buffer.from(der, "base64")).digest("hex");
  const named = items.flatMap((item) => ("certificate" in item ? [item.certificate] : []));
  const other = [computed, ...named].find((each) => each !== fingerprint);
  if (other === undefined) return;
  throw new FormatError("signing-request.certificate", {
    what: "signing request: certificate",
    expected: `one with the fingerprint ${fingerprint}`,
    found: other,
  });
}
