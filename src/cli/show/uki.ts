import type { UkiFacts, UkiProfileFacts } from "../../actions/uki/inspect-uki-file.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";

export function showUki(facts: UkiFacts): Shown {
  const { _profiles, ...base } = facts.sections;
  const lines = [
    `kind          ${facts.kind}, ${facts.architecture}, stub ${facts.stubVersion ?? "of unknown version"}`,
    `signatures    ${facts.signatures}`,
    ...facts.profiles.flatMap((profile) => showProfile(profile, facts.profiles.length > 1)),
    "sections",
  ];
  const groups = [base, ...(Array.isArray(_profiles) ? _profiles : [])];
  for (const group of groups) {
    for (const [name, section] of Object.entries(group)) {
      for (const { sha256, size } of [section].flat()) {
        lines.push(`  ${name.padEnd(10)} ${showSize(size).padStart(10)}  ${sha256}`);
      }
    }
  }
  return { text: lines.join("\n"), json: facts };
}

function showProfile(profile: UkiProfileFacts, numbered: boolean): string[] {
  const rows: [string, string | undefined][] = [
    ["profile", numbered ? `${profile.number} ${profile.id ?? ""} ${profile.title ?? ""}`.trim() : undefined],
    ["kernel", profile.uname],
    ["OS", profile.osRelease["PRETTY_NAME"]],
    ["command line", profile.cmdline],
  ];
  return rows.flatMap(([title, value]) => (value === undefined ? [] : [`${title.padEnd(13)} ${value}`]));
}
