/** Bytes from spaced hex: `fromHex("81 80")`. */
export function fromHex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(/\s/g, ""), "hex");
}
