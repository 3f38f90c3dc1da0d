import { type DerReader, der } from "../der/index.ts";
import { ATTRIBUTE_NAMES } from "./layout.ts";

/** The parts of a distinguished name that Sealwright writes, outermost first in the certificate. */
export interface NameParts {
  readonly country?: string;
  readonly organization?: string;
  readonly organizationalUnit?: string;
  readonly commonName: string;
}

/**
 * Reads a Name to the text form of RFC 4514: innermost first, `CN=db,O=Example`. For people, never for comparing.
 *
 * @param name a reader over the content of the RDNSequence
 */
export function readName(name: DerReader): string {
  const rdns: string[] = [];
  while (!name.done) {
    const rdn = name.set("RelativeDistinguishedName");
    const attributes: string[] = [];
    do {
      const attribute = rdn.sequence("AttributeTypeAndValue");
      const type = attribute.oid("type");
      attributes.push(`${ATTRIBUTE_NAMES[type] ?? type}=${escapeValue(attribute.string("value"))}`);
      attribute.end();
    } while (!rdn.done);
    rdns.unshift(attributes.join("+"));
  }
  return rdns.join(",");
}

/** RFC 4514 §2.4; control characters as hex pairs, so that a name cannot steer a terminal. */
function escapeValue(value: string): string {
  return value
    .replaceAll(/[",+;<>\\]|^[ #]| $/g, String.raw`\$&`)
    .replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (unit) =>
      Buffer.from(unit, "utf8").toString("hex").replaceAll(/../g, String.raw`\$&`),
    );
}

/** C is a PrintableString of two letters, the rest UTF8String (RFC 5280 §4.1.2.4, appendix A.1). */
export function encodeName(parts: NameParts): Uint8Array {
  const { country, organization, organizationalUnit, commonName } = parts;
  return der.sequence(
    ...(country === undefined ? [] : [encodeRdn("2.5.4.6", der.printableString(country))]),
    ...(organization === undefined ? [] : [encodeRdn("2.5.4.10", der.utf8String(organization))]),
    ...(organizationalUnit === undefined ? [] : [encodeRdn("2.5.4.11", der.utf8String(organizationalUnit))]),
    encodeRdn("2.5.4.3", der.utf8String(commonName)),
  );
}

function encodeRdn(type: string, value: Uint8Array): Uint8Array {
  return der.setOf(der.sequence(der.oid(type), value));
}
