import { ACCOUNT_LINTS } from "./bootc-accounts.ts";
import { ROOT_LINTS } from "./bootc-root.ts";
import { STATE_LINTS } from "./bootc-state.ts";
import type { Lint } from "./lint.ts";
import { COMMAND_LINE_LINTS } from "./sealed-command-line.ts";
import { HOST_LINTS } from "./sealed-host.ts";
import { PROGRAM_LINTS } from "./sealed-programs.ts";
import { TREE_LINTS } from "./sealed-tree.ts";

const byName = (a: Lint, b: Lint): number => (a.name < b.name ? -1 : 1);

/** Every lint, in the order in which they are run and listed: by name, those that walk the tree last. */
export const LINTS: readonly Lint[] = [
  // bootc's
  ...ROOT_LINTS,
  ...STATE_LINTS,
  ...ACCOUNT_LINTS,
  // of the chain of trust
  ...PROGRAM_LINTS,
  ...COMMAND_LINE_LINTS,
  ...HOST_LINTS,
  ...TREE_LINTS,
].sort((a, b) => Number(a.recursive ?? false) - Number(b.recursive ?? false) || byName(a, b));
