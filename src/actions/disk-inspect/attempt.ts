/** Runs a part of the work; a refusal becomes a problem of the report, and `null`. */
export type Attempt = <T>(what: string, work: () => T) => T | null;
