import { quote, UsageError } from "../../lib/errors.ts";

/** What can be said about an image, in the order it is written. */
export const ATTACHMENT_KINDS = ["sbom", "provenance", "composefs", "signature"] as const;

export type AttachmentKind = (typeof ATTACHMENT_KINDS)[number];

/** Stands for whatever can be said. */
export const ALL_KINDS = "all";

/**
 * @param list names with commas between them, or `all`
 * @returns those of `possible`, each once, in the order they are written
 * @throws {UsageError} `attach.kind-unknown`, `attach.kind-impossible`
 */
export function parseAttachmentKinds(
  list: string,
  possible: readonly AttachmentKind[] = ATTACHMENT_KINDS,
): readonly AttachmentKind[] {
  if (list === ALL_KINDS) return possible;
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !(ATTACHMENT_KINDS as readonly string[]).includes(name));
  if (unknown !== undefined) {
    const expected = `all or some of ${possible.join(", ")}`;
    throw new UsageError("attach.kind-unknown", `attachment ${quote(unknown)}: expected ${expected}`);
  }
  const impossible = ATTACHMENT_KINDS.find((kind) => names.includes(kind) && !possible.includes(kind));
  if (impossible !== undefined) {
    throw new UsageError(
      "attach.kind-impossible",
      `${impossible} is said by who did the work: the command that seals`,
      {
        hint: `use it with: sealwright seal --attest ${impossible}`,
      },
    );
  }
  return ATTACHMENT_KINDS.filter((kind) => names.includes(kind));
}
