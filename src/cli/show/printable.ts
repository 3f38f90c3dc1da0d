/** Text that was read from elsewhere, for a terminal: control characters as `\xNN`. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is being removed
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, (unit) => `\\x${unit.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
