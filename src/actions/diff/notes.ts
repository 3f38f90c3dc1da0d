import { SealwrightError } from "../../lib/errors.ts";
import type { Note } from "./report.ts";

/** What could not be looked into. A report without one part is worth more than none. */
export class Notes {
  readonly list: Note[] = [];

  /** Says the same thing once. */
  add(code: string, message: string): void {
    if (!this.list.some((note) => note.message === message)) this.list.push({ code, message });
  }

  /** @returns what `work` does; nothing, and a note, when it refuses */
  attempt<T>(subject: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      return this.#note(subject, error);
    }
  }

  async attemptAsync<T>(subject: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      return this.#note(subject, error);
    }
  }

  #note(subject: string, error: unknown): undefined {
    if (!(error instanceof SealwrightError) || error.code === "interrupted") throw error;
    this.add(error.code, `${subject}: ${error.message}`);
  }
}
