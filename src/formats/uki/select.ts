import { MEASURED_SECTIONS } from "./layout.ts";
import type { UkiSection } from "./section.ts";

/**
 * What the stub may choose to boot and measure when `profile` is asked for: sections of the profile hide those of
 * the base by name. A `.dtbauto` fits one kind of machine only, so there is one choice for each.
 *
 * `.efifw` is left out, as ukify does: whether it is measured depends on the firmware it replaces.
 */
export function selectSections(base: readonly UkiSection[], profile: readonly UkiSection[]): UkiSection[][] {
  const hidden = new Set(profile.map(({ name }) => name));
  const measured = [...profile, ...base.filter(({ name }) => !hidden.has(name))].filter(({ name }) =>
    MEASURED_SECTIONS.some((candidate) => candidate.name === name && name !== ".efifw"),
  );
  const dtbautos = measured.filter(({ name }) => name === ".dtbauto");
  const others = measured.filter(({ name }) => name !== ".dtbauto");
  return dtbautos.length === 0 ? [others] : dtbautos.map((dtbauto) => [...others, dtbauto]);
}
