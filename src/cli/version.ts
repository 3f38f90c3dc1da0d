import { readFileSync } from "node:fs";

/** Of Sealwright. */
export const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};
