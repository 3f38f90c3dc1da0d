/** bootc's lints of what does not belong into an image: state of machines, traces of builds. */
import { showByteString } from "../../lib/bytes/byte-string.ts";
import { lookup, type TreeNode } from "../../model/tree/tree.ts";
import type { LintContext } from "./context.ts";
import { type Finding, findingOf, type Lint } from "./lint.ts";
import { type NamedNode, walk } from "./walk.ts";

export const STATE_LINTS: readonly Lint[] = [
  {
    name: "buildah-injected",
    level: "warning",
    description: "/etc/hostname and /etc/resolv.conf must not be the empty files that build tools leave behind.",
    rootType: "alternative",
    check: ({ tree }) =>
      findingOf(
        "lint.state.build-file",
        "found an empty file that a build tool may have left, expected none",
        ["/etc/hostname", "/etc/resolv.conf"].filter((path) => isEmptyFile(lookup(tree, path))),
      ),
  },
  {
    name: "nonempty-boot",
    level: "warning",
    description: "/boot should be there and hold nothing but EFI: a host mounts its own over it.",
    check: ({ tree }) => checkBoot(lookup(tree, "/boot")),
  },
  {
    name: "nonempty-run-tmp",
    level: "warning",
    description: "/run and /tmp should be empty: a host mounts its own over them.",
    check: (context) =>
      findingOf(
        "lint.state.run-tmp",
        "found content in /run or /tmp, expected none",
        ["/run", "/tmp"].flatMap((directory) =>
          [...leavesBelow(context, directory)].filter((path) => path !== STUB_RESOLVER),
        ),
      ),
  },
  {
    name: "var-log",
    level: "warning",
    description: "/var/log should hold no logs: they are a machine's own, and differ from build to build.",
    check: ({ tree }) =>
      findingOf(
        "lint.state.log",
        "found log files that are not empty, expected none",
        [...walk(tree, "/var/log")].filter(({ node }) => sizeOf(node) > 0n).map(({ path }) => path),
      ),
  },
  {
    name: "var-run",
    level: "fatal",
    description: "/var/run must be a symbolic link where it exists.",
    check: ({ tree }) => {
      const node = lookup(tree, "/var/run");
      if (node === undefined || node.kind === "symlink") return undefined;
      const message = `/var/run: found a ${node.kind}, expected a symbolic link to /run`;
      return { code: "lint.state.var-run", message, paths: ["/var/run"] };
    },
  },
  {
    name: "var-tmpfiles",
    level: "warning",
    description: "Content of /var should be declared in tmpfiles.d: a host fills /var once, when it is installed.",
    rootType: "running",
    check: checkVar,
  },
];

const isEmptyFile = (node: TreeNode | undefined): boolean => node?.kind === "file" && sizeOf(node) === 0n;

/** Bytes of a regular file; 0 for everything else. */
function sizeOf(node: TreeNode): bigint {
  if (node.kind !== "file") return 0n;
  return node.content.kind === "inline" ? BigInt(node.content.bytes.length) : node.content.size;
}

/** A name that sealing writes: the dump of the sealed tree. */
const SEAL_DUMP = /\.dump$/;

function checkBoot(boot: TreeNode | undefined): Finding | undefined {
  if (boot?.kind !== "directory") {
    const found = boot === undefined ? "nothing" : `a ${boot.kind}`;
    return { code: "lint.boot.missing", message: `/boot: found ${found}, expected a directory`, paths: ["/boot"] };
  }
  const names = [...boot.entries.keys()].filter((name) => name !== "EFI").sort();
  const paths = names.map((name) => `/boot/${showByteString(name)}`);
  const onlyDump = names.length > 0 && names.every((name) => SEAL_DUMP.test(name));
  return findingOf(
    onlyDump ? "lint.boot.seal-dump" : "lint.boot.not-empty",
    onlyDump
      ? "found the dump of the sealed tree beside EFI, which no host reads (sealwright seal --no-dump leaves it out)"
      : "found more than EFI in /boot, expected nothing else",
    paths,
  );
}

/** systemd-resolved's file, which engines make a mount point of: https://github.com/bootc-dev/bootc/issues/2050 */
const STUB_RESOLVER = "/run/systemd/resolve/stub-resolv.conf";

/** Files, and directories without anything in them. */
function* leavesBelow({ tree }: LintContext, directory: string): Generator<string> {
  for (const { node, path } of walk(tree, directory)) {
    if (node.kind !== "directory" || node.entries.size === 0) yield path;
  }
}

const TMPFILES_DIRECTORIES = ["/etc/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d"];

const isDeclarable = ({ node }: NamedNode): boolean => node.kind === "directory" || node.kind === "symlink";

async function checkVar(context: LintContext): Promise<Finding | undefined> {
  const declared = await declaredPaths(context);
  const content = [...walk(context.tree, "/var")].filter(({ path }) => !declared.has(path));
  const missing = content.filter(isDeclarable).map(({ path }) => path);
  const others = content.filter((entry) => !isDeclarable(entry)).map(({ path }) => path);
  return findingOf(
    "lint.state.var-undeclared",
    "found content of /var without an entry in tmpfiles.d, or that is no directory and no link",
    [...missing, ...others],
  );
}

/** Paths in the second column of tmpfiles.d(5). */
async function declaredPaths(context: LintContext): Promise<ReadonlySet<string>> {
  const files = TMPFILES_DIRECTORIES.flatMap((directory) => [...walk(context.tree, directory)]);
  const paths = new Set<string>();
  for (const { node, path } of files) {
    if (node.kind !== "file" || !path.endsWith(".conf")) continue;
    for (const line of (await context.readText({ path, content: node.content })).split("\n")) {
      const [, declared] = /^\s*[a-zA-Z]\S*\s+"?([^\s"]+)/.exec(line) ?? [];
      if (declared !== undefined) paths.add(declared.replace(/\/+$/, ""));
    }
  }
  return paths;
}
