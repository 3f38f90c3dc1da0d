import type { ChainVerdict, VerdictBuilder } from "../../model/verdict/verdict.ts";

/** The links of a machine that runs. */
export const HOST_LINKS = {
  "secure-boot": "Secure Boot",
  keys: "firmware keys",
  esp: "ESP",
  "boot-loader": "boot loader",
  uki: "UKI",
  "event-log": "event log",
  "command-line": "command line",
  image: "EROFS image",
  root: "root",
  usr: "/usr",
  deployment: "deployment",
  state: "/etc and /var",
  certificate: "certificate",
} as const;

export type HostLinkName = keyof typeof HOST_LINKS;

export type HostVerdictBuilder = VerdictBuilder<HostLinkName>;

export interface HostVerdict extends ChainVerdict<HostLinkName> {
  /** Of the tree that runs, lower-case hex. */
  readonly digest?: string;
}
