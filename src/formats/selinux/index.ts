/**
 * SELinux file labels from the text of a policy: file_contexts(5), its substitutions, /etc/selinux/config.
 *
 * Labels are part of a sealed image's digest, so they follow composefs-rs and not libselinux where the two differ:
 *
 *     file_contexts, .local, .homedirs    one list, the LAST line that matches wins
 *     file_contexts.subs, .subs_dist      one map from whole paths to whole paths
 *     key                                 path, then one byte for the type:  - d l p s b c
 *     line                                ^(REGEX)T$ over that key, T the type byte or any byte
 *
 * Not supported, and refused with file and line: back references, look-behind, inline flags, atomic groups, Unicode
 * classes, set operations in classes, `\<` and `\>`. Compiled `.bin` files and `media` are never read.
 *
 * @see composefs specification, section 5.2; selabel_file(5), file_contexts(5)
 */
export {
  FILE_TYPES,
  type FileSpec,
  type FileType,
  parseFileContexts,
  parsePolicyName,
  parseSubstitutions,
} from "./file-contexts.ts";
export { type ParsedPattern, type Pattern, parsePattern } from "./pattern.ts";
export { POLICY_FILES, type PolicyFiles, SelinuxPolicy } from "./policy.ts";
export { SpecMatcher } from "./spec-matcher.ts";
