/** Flags that several commands share, so that they read and behave the same everywhere. */

const text = (input: string): string => input;

export const jsonFlag = { kind: "boolean", brief: "Print one JSON document instead of text", default: false } as const;

export const platformFlag = {
  kind: "parsed",
  parse: text,
  optional: true,
  brief: "Platform to take from an index (default: linux/ this machine's architecture)",
  placeholder: "OS/ARCH",
} as const;

export const noCacheFlag = {
  kind: "boolean",
  brief: "Read every layer anew instead of using the layer cache",
  default: false,
} as const;

export const imageArgument = {
  kind: "tuple",
  parameters: [
    {
      brief: "HOST/NAME[:TAG] in a registry, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or dir:PATH",
      parse: text,
      placeholder: "IMAGE",
    },
  ],
} as const;

export const diskArgument = {
  kind: "tuple",
  parameters: [{ brief: "Raw or qcow2 disk image", parse: text, placeholder: "DISK" }],
} as const;

/** A flag with a value of plain text. */
export function textFlag(placeholder: string, brief: string) {
  return { kind: "parsed", parse: text, optional: true, brief, placeholder } as const;
}

/** As `textFlag`, but the command line must have it. */
export function requiredTextFlag(placeholder: string, brief: string) {
  return { kind: "parsed", parse: text, brief, placeholder } as const;
}

/** As `textFlag`, repeatable. */
export function listFlag(placeholder: string, brief: string) {
  return { kind: "parsed", parse: text, optional: true, variadic: true, brief, placeholder } as const;
}

export function switchFlag(brief: string) {
  return { kind: "boolean", brief, default: false } as const;
}

/** A flag with a whole number from 0; what is not one is told as a mistake on the command line. */
export function numberFlag(placeholder: string, brief: string) {
  return { kind: "parsed", parse: parseWhole, optional: true, brief, placeholder } as const;
}

/** What it throws is told as a mistake on the command line. */
function parseWhole(input: string): number {
  if (!/^\d{1,9}$/.test(input)) throw new SyntaxError(`"${input}" is no whole number`);
  return Number(input);
}
