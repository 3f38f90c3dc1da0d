import { FormatError } from "../../lib/errors.ts";
import { parsePe, sectionContent } from "../pe/index.ts";
import { OPTIONAL, SECTION } from "../pe/layout.ts";
import { PCR_BANKS, type PcrBank } from "./pcr11.ts";
import { encodePcrPolicies, type PcrPolicies, type PcrPolicy } from "./pcrsig.ts";

/**
 * Puts signatures made elsewhere into the `.pcrsig` sections of a UKI that was built with room for them.
 *
 * Signatures are matched by what was signed (`tbs`), or by policy and reference. Sections keep their place and their
 * raw size. A UKI already signed for Secure Boot has to be signed again.
 *
 * @returns a new file
 * @throws {FormatError} `pe.…`, `uki.pcrsig.json`, `uki.pcrsig.too-large`, `uki.pcrsig.absent` (no such section, or
 *   nothing matched)
 */
export function joinPcrSignatures(uki: Uint8Array, signatures: PcrPolicies): Uint8Array {
  const pe = parsePe(uki);
  const out = Buffer.from(uki);
  let matches = 0;
  for (const section of pe.sections.filter(({ name }) => name === ".pcrsig")) {
    const policies = parsePcrPolicies(sectionContent(pe, section));
    const encoded = Buffer.from(encodePcrPolicies(withSignatures(policies, signatures, () => matches++)));
    if (encoded.length > section.rawSize) {
      throw new FormatError("uki.pcrsig.too-large", {
        what: "UKI section .pcrsig",
        offset: section.rawOffset,
        expected: `at most ${section.rawSize} bytes`,
        found: `${encoded.length} bytes`,
      });
    }
    out.fill(0, section.rawOffset, section.rawOffset + section.rawSize);
    out.set(encoded, section.rawOffset);
    out.writeUInt32LE(encoded.length, section.headerOffset + SECTION.virtualSize);
  }
  if (matches === 0) {
    throw new FormatError("uki.pcrsig.absent", {
      what: "UKI sections .pcrsig",
      expected: "a policy that one of the signatures is for",
      found: "none",
    });
  }
  out.writeUInt32LE(0, pe.optionalOffset + OPTIONAL.checkSum);
  return out;
}

/** @throws {FormatError} `uki.pcrsig.json` */
export function parsePcrPolicies(bytes: Uint8Array): PcrPolicies {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(bytes).toString("utf8").replace(/\0+$/, ""));
  } catch (cause) {
    throw wrongJson("JSON", "other text", cause);
  }
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw wrongJson("an object", "another value");
  const policies: Partial<Record<PcrBank, readonly PcrPolicy[]>> = {};
  for (const [bank, list] of Object.entries(document)) {
    if (!Object.hasOwn(PCR_BANKS, bank))
      throw wrongJson(Object.keys(PCR_BANKS).join(", "), JSON.stringify(bank.slice(0, 80)));
    if (!Array.isArray(list) || !list.every(isPolicy)) throw wrongJson(`policies in ${bank}`, "another value");
    policies[bank as PcrBank] = list;
  }
  return policies;
}

function withSignatures(policies: PcrPolicies, signatures: PcrPolicies, onMatch: () => void): PcrPolicies {
  const signed = Object.entries(policies).map(([bank, list]) => [
    bank,
    list.map((policy) => {
      const made = signatures[bank as PcrBank]?.find((candidate) => isSamePolicy(candidate, policy));
      if (made?.sig === undefined) return policy;
      onMatch();
      return { ...policy, sig: made.sig };
    }),
  ]);
  return Object.fromEntries(signed) as PcrPolicies;
}

function isSamePolicy(a: PcrPolicy, b: PcrPolicy): boolean {
  if (a.tbs !== undefined && b.tbs !== undefined) return a.tbs === b.tbs;
  return a.pol === b.pol && a.ref === b.ref;
}

const HEX = /^[0-9a-f]*$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const ANY = /^/;

const isText = (value: unknown, form: RegExp): boolean => typeof value === "string" && form.test(value);

function isPolicy(value: unknown): value is PcrPolicy {
  if (typeof value !== "object" || value === null) return false;
  const policy = value as Record<string, unknown>;
  return (
    Array.isArray(policy["pcrs"]) &&
    policy["pcrs"].every((pcr) => Number.isInteger(pcr)) &&
    isText(policy["pkfp"], HEX) &&
    isText(policy["pol"], HEX) &&
    isText(policy["ref"] ?? "", ANY) &&
    isText(policy["tbs"] ?? "", HEX) &&
    isText(policy["sig"] ?? "", BASE64)
  );
}

function wrongJson(expected: string, found: string, cause?: unknown): FormatError {
  const options = cause === undefined ? {} : { cause };
  return new FormatError("uki.pcrsig.json", { what: "UKI section .pcrsig", expected, found }, options);
}
