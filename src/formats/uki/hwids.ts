import { type Guid, parseGuid } from "../../lib/bytes/guid.ts";
import { FormatError, quote, UsageError } from "../../lib/errors.ts";

/** A device by its computer hardware ids, and what it needs: a devicetree or a firmware. */
export interface HwidDevice {
  readonly type: keyof typeof DEVICE_TYPE;
  readonly name: string;
  /** The devicetree's compatible string, or the firmware id. */
  readonly match: string;
  /** Lower-case text form. */
  readonly chids: readonly string[];
}

/** Device of systemd's src/boot/chid.h: {u32 descriptor, GUID chid, u32 name offset, u32 match offset}. */
const DEVICE = { descriptor: 0, chid: 4, nameOffset: 20, matchOffset: 24, size: 28 } as const;
const DEVICE_TYPE = { devicetree: 1, "uefi-fw": 2 } as const;
const MATCH_KEY = { devicetree: "compatible", "uefi-fw": "fwid" } as const;

/**
 * Reads one description from a `boot/hwids` directory.
 *
 * @throws {FormatError} `uki.hwids.json`, `uki.hwids.key`, `uki.hwids.chid`
 * @see ukify(1), `--hwids=`
 */
export function parseHwidDescription(bytes: Uint8Array, what: string): HwidDevice {
  const document = parseObject(bytes, what);
  const text = (key: string): string => {
    const value = document[key];
    if (typeof value !== "string") throw wrongKey(what, key, "a string", value);
    return value;
  };
  const type = text("type");
  if (type !== "devicetree" && type !== "uefi-fw") throw wrongKey(what, "type", '"devicetree" or "uefi-fw"', type);
  const other = MATCH_KEY[type === "devicetree" ? "uefi-fw" : "devicetree"];
  if (other in document) throw wrongKey(what, other, `no such key for type "${type}"`, document[other]);
  const hwids = document["hwids"];
  if (!Array.isArray(hwids)) throw wrongKey(what, "hwids", "an array of GUIDs", hwids);
  return { type, name: text("name"), match: text(MATCH_KEY[type]), chids: hwids.map((hwid) => checkChid(hwid, what)) };
}

/**
 * Encodes the `.hwids` section: one record for each hardware id, an empty record, then the strings.
 *
 * Descriptions of the same device are united. Devices keep their order; ids and strings are sorted.
 */
export function encodeHwids(devices: readonly HwidDevice[]): Uint8Array {
  const united = uniteDevices(devices);
  const strings = [...new Set(united.flatMap(({ name, match }) => [name, match]))]
    .map((text) => ({ text, bytes: Buffer.from(`${text}\0`) }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const records = united.reduce((count, { chids }) => count + chids.length, 1);
  const offsets = new Map<string, number>();
  let end = records * DEVICE.size;
  for (const { text, bytes } of strings) {
    offsets.set(text, end);
    end += bytes.length;
  }

  const out = Buffer.alloc(end);
  let at = 0;
  for (const { type, name, match, chids } of united) {
    for (const chid of chids) {
      out.writeUInt32LE(DEVICE_TYPE[type] * 0x1000_0000 + DEVICE.size, at + DEVICE.descriptor);
      out.set(parseGuid(chid), at + DEVICE.chid);
      out.writeUInt32LE(offsets.get(name) ?? 0, at + DEVICE.nameOffset);
      out.writeUInt32LE(offsets.get(match) ?? 0, at + DEVICE.matchOffset);
      at += DEVICE.size;
    }
  }
  for (const { text, bytes } of strings) out.set(bytes, offsets.get(text) ?? 0);
  return out;
}

function uniteDevices(devices: readonly HwidDevice[]): HwidDevice[] {
  const united = new Map<string, HwidDevice>();
  for (const device of devices) {
    const key = JSON.stringify([device.type, device.name, device.match]);
    const chids = new Set([...(united.get(key)?.chids ?? []), ...device.chids]);
    united.set(key, { ...device, chids: [...chids].sort() });
  }
  return [...united.values()];
}

function parseObject(bytes: Uint8Array, what: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new FormatError("uki.hwids.json", { what, expected: "a JSON object", found: "something else" });
}

function checkChid(hwid: unknown, what: string): string {
  const text = String(hwid).toLowerCase();
  try {
    parseGuid(text) satisfies Guid;
    return text;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new FormatError(
      "uki.hwids.chid",
      {
        what: `${what}: hwids`,
        expected: "GUIDs of the form 8be4df61-93ca-11d2-aa0d-00e098032b8c",
        found: quote(text),
      },
      { cause: error },
    );
  }
}

function wrongKey(what: string, key: string, expected: string, found: unknown): FormatError {
  return new FormatError("uki.hwids.key", { what: `${what}: ${key}`, expected, found: quote(String(found)) });
}
