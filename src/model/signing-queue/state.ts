/** The life of a signing request in the queue. */

/**
 *     receiving ---> reviewing ---> waiting ---> signing ---> signed
 *         |              |             |            |
 *         |              '-> refused <-+------------'
 *         |                            '-> rejected
 *         '-> expired <- (any of those before signing)
 *
 * `receiving`: files are still to come. `reviewing`, `signing`: a job for a worker. `waiting`: for approvers. `refused`:
 * by the policy or because the request does not hold. `rejected`: by an approver, which is final. What was refused or
 * has expired starts anew when it is submitted again.
 */
export const TRANSITIONS = {
  receiving: ["reviewing", "expired"],
  reviewing: ["waiting", "signing", "refused", "expired"],
  waiting: ["signing", "rejected", "refused", "expired"],
  signing: ["signed", "refused"],
  signed: [],
  refused: ["receiving"],
  rejected: [],
  expired: ["receiving"],
} as const;

export type RequestState = keyof typeof TRANSITIONS;

export const REQUEST_STATES = Object.keys(TRANSITIONS) as readonly RequestState[];

/** States in which a worker has something to do. */
export const JOB_STATES = ["reviewing", "signing"] as const;
export type JobState = (typeof JOB_STATES)[number];

/** States that time ends. What is being signed has its approvals and is finished. */
export const EXPIRING_STATES = ["receiving", "reviewing", "waiting"] as const;

/** States that nothing happens in any more, unless the request is submitted again. */
export const FINAL_STATES = ["signed", "refused", "rejected", "expired"] as const;

export function isRequestState(text: string): text is RequestState {
  return Object.hasOwn(TRANSITIONS, text);
}
