import { buildApplication, buildRouteMap, text_en } from "@stricli/core";
import { attachCommand } from "./commands/attach.ts";
import { auditRoutes } from "./commands/audit.ts";
import { completionCommand } from "./commands/completion.ts";
import { copyCommand } from "./commands/copy.ts";
import { diffCommand } from "./commands/diff.ts";
import { digestCommand } from "./commands/digest.ts";
import { diskRoutes } from "./commands/disk.ts";
import { erofsRoutes } from "./commands/erofs.ts";
import { explainCommand } from "./commands/explain.ts";
import { imageRoutes } from "./commands/image.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { keysRoutes } from "./commands/keys.ts";
import { lintCommand } from "./commands/lint.ts";
import { planUpdateCommand } from "./commands/plan-update.ts";
import { rechunkCommand } from "./commands/rechunk.ts";
import { referrersCommand } from "./commands/referrers.ts";
import { sbomCommand } from "./commands/sbom.ts";
import { sealCommand } from "./commands/seal.ts";
import { signCommand } from "./commands/sign.ts";
import { signRequestCommand } from "./commands/sign-request.ts";
import { signerRoutes } from "./commands/signer.ts";
import { ukiRoutes } from "./commands/uki.ts";
import { verifyCommand } from "./commands/verify.ts";
import { vmRoutes } from "./commands/vm.ts";
import type { Context } from "./context.ts";
import { exitCodeOf, failureText } from "./failure.ts";
import { version } from "./version.ts";

const root = buildRouteMap<string, Context>({
  routes: {
    keys: keysRoutes,
    image: imageRoutes,
    inspect: inspectCommand,
    lint: lintCommand,
    digest: digestCommand,
    explain: explainCommand,
    diff: diffCommand,
    erofs: erofsRoutes,
    uki: ukiRoutes,
    sign: signCommand,
    seal: sealCommand,
    signRequest: signRequestCommand,
    signer: signerRoutes,
    audit: auditRoutes,
    verify: verifyCommand,
    disk: diskRoutes,
    vm: vmRoutes,
    copy: copyCommand,
    attach: attachCommand,
    referrers: referrersCommand,
    sbom: sbomCommand,
    rechunk: rechunkCommand,
    planUpdate: planUpdateCommand,
    completion: completionCommand,
  },
  docs: {
    brief: "Seal bootable container images with Secure Boot keys of your own",
    fullDescription: [
      "Sealwright turns a bootable container image into a sealed one: firmware verifies systemd-boot and a unified kernel",
      "image, whose command line carries the composefs digest of the whole OS tree. No root, no daemon.",
      "",
      "EXAMPLES",
      "  sealwright keys generate keys",
      "  sealwright seal oci:./os --to oci:./sealed --key keys/db.key --cert keys/db.crt",
      "  sealwright verify oci:./sealed --cert keys/db.crt",
    ].join("\n"),
  },
});

export const app = buildApplication<Context>(root, {
  name: "sealwright",
  versionInfo: { currentVersion: version },
  scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
  documentation: { caseStyle: "convert-camel-to-kebab", onlyRequiredInUsageLine: true },
  determineExitCode: exitCodeOf,
  localization: {
    text: {
      ...text_en,
      exceptionWhileRunningCommand: failureText,
      exceptionWhileLoadingCommandFunction: failureText,
      exceptionWhileParsingArguments(error, ansiColor) {
        return `sealwright: ${text_en.exceptionWhileParsingArguments.call(this, error, ansiColor)}\nhint: add --help to see the arguments`;
      },
    },
  },
});
