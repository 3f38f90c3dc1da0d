/** What the page calls things, and the colour it gives them. */
import type { RequestState, RequestView, Tone } from "../model/signing-service/api.ts";

export const STATES: Readonly<
  Record<RequestState, { readonly label: string; readonly tone: Tone; readonly meaning: string }>
> = {
  receiving: { label: "receiving", tone: "plain", meaning: "Its files are still on their way." },
  reviewing: {
    label: "in review",
    tone: "plain",
    meaning: "The service makes the request again from the image itself.",
  },
  waiting: { label: "waiting", tone: "warn", meaning: "It waits for approvals." },
  signing: { label: "signing", tone: "plain", meaning: "It has its approvals and is being signed." },
  signed: { label: "signed", tone: "good", meaning: "It is signed; the builder can fetch the signatures." },
  refused: { label: "refused", tone: "bad", meaning: "The service does not sign it." },
  rejected: { label: "rejected", tone: "bad", meaning: "An approver has rejected it." },
  expired: { label: "expired", tone: "plain", meaning: "Nobody decided in time." },
};

export function approvalsOf({ decisions }: RequestView): number {
  return decisions.filter(({ verdict }) => verdict === "approved").length;
}

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** "in 6 days", "2 hours ago" */
export function fromNow(time: string, now: Date): string {
  const seconds = (Date.parse(time) - now.getTime()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return unit === "second" ? "just now" : RELATIVE.format(Math.round(seconds / size), unit);
}

/** For titles: the exact time, in the reader's zone. */
export const exactTime = (time: string): string =>
  new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "long" }).format(new Date(time));

export function showSize(size: number): string {
  if (size < 1024) return `${size} bytes`;
  const power = size < 1024 ** 2 ? 1 : size < 1024 ** 3 ? 2 : 3;
  return `${(size / 1024 ** power).toFixed(1)} ${["", "KiB", "MiB", "GiB"][power]}`;
}
